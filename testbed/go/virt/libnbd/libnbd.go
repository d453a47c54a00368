// Package libnbd stands in for a module that the Go module proxy does not have. KubeVirt reads changed blocks of disks
// through it for backups; here that answers an error, and nothing else of a virtual machine needs it.
package libnbd

import "errors"

const (
	CONTEXT_BASE_ALLOCATION   = "base:allocation"
	CONTEXT_QEMU_DIRTY_BITMAP = "qemu:dirty-bitmap:"

	STATE_HOLE  = 1
	STATE_ZERO  = 2
	STATE_DIRTY = 1
)

var errAbsent = errors.New("this KubeVirt was built without libnbd")

type LibnbdExtent struct {
	Length uint64
	Flags  uint64
}

type ExtentCallback func(metacontext string, offset uint64, entries []LibnbdExtent, failure *int) int

type Libnbd struct{}

func Create() (*Libnbd, error) { return nil, errAbsent }

func (*Libnbd) AddMetaContext(string) error                             { return errAbsent }
func (*Libnbd) CanMetaContext(string) (bool, error)                     { return false, errAbsent }
func (*Libnbd) SetExportName(string) error                              { return errAbsent }
func (*Libnbd) ConnectUnix(string) error                                { return errAbsent }
func (*Libnbd) GetSize() (uint64, error)                                { return 0, errAbsent }
func (*Libnbd) Pread([]byte, uint64, any) error                         { return errAbsent }
func (*Libnbd) BlockStatus64(uint64, uint64, ExtentCallback, any) error { return errAbsent }
func (*Libnbd) Close() error                                            { return nil }

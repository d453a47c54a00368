// Package core stands in for a module that the Go module proxy does not have: the few names of VirtualMachineTemplates
// that KubeVirt is compiled against. Nothing of them is used while virtTemplateDeployment is off, as it is here.
package core

const (
	GroupName            = "template.kubevirt.io"
	SingularResourceName = "virtualmachinetemplate"
	PluralResourceName   = "virtualmachinetemplates"
)

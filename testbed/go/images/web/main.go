// A web server to run inside a Pod: it remembers, and it can misbehave when told to.
//
//	/         who it is
//	/counter  one more than the last time; kept in memory only
//	/crash    ends the process with exit code 3
//	/eat      takes memory until the kernel ends the process
//
// Started with the argument "crash" or "eat" it does that at once instead of serving.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

const piece = 8 << 20

func main() {
	if len(os.Args) > 1 {
		misbehave(os.Args[1])
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		log.Print("asked to end: ", <-ended)
		os.Exit(0)
	}()
	http.HandleFunc("/", greet)
	http.HandleFunc("/counter", count)
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { misbehave("crash") })
	http.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) { misbehave("eat") })
	log.Print("serving on port 80")
	log.Fatal(http.ListenAndServe(":80", nil))
}

func greet(answer http.ResponseWriter, _ *http.Request) {
	name, _ := os.Hostname()
	fmt.Fprintf(answer, "hello from %s\n", name)
}

var counter atomic.Int64

func count(answer http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(answer, counter.Add(1))
}

func misbehave(how string) {
	switch how {
	case "crash":
		log.Print("crashing as told")
		os.Exit(3)
	case "eat":
		log.Print("eating memory as told")
		for hoard := [][]byte{}; ; {
			meal := make([]byte, piece)
			for at := 0; at < piece; at += 4096 {
				meal[at] = 1 // only what is written to is really taken
			}
			hoard = append(hoard, meal)
		}
	default:
		log.Fatalf("unknown argument %q", how)
	}
}

// How does a Go implementation answer kopia-maint's conformance wire format?
//
// Reads JSON lines on standard input and answers each with one line: see docs/conformance.md. decide.go holds the
// rules, schedule.go what a schedule means, manifest.go the objects in and out; a fork would put its own code in
// their place and keep this file. Started with -fork it decides as VolSync's Kopia fork does today (fork.go).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"
)

// object is a manifest, with whatever else is in it.
type object = map[string]any

type question struct {
	Op       string `json:"op"`
	Current  any    `json:"current"`
	Request  any    `json:"request"`
	Requests []any  `json:"requests"`
	Now      string `json:"now"`
	Policy   string `json:"policy"`
}

// fault is what is refused. Readers panic with it; answer turns it into an answer.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Path    string `json:"path"`
}

func refuse(code, path, format string, args ...any) {
	panic(fault{code, fmt.Sprintf(format, args...), path})
}

// try runs read, and returns the fault that it was refused for.
func try(read func()) (refused *fault) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fault:
			refused = &r
		default:
			panic(r)
		}
	}()
	read()
	return nil
}

func main() {
	asFork := flag.Bool("fork", false, "decide as VolSync's Kopia fork does today")
	flag.Parse()
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if err := out.Encode(answer(line, *asFork)); err != nil {
				log.Fatal(err)
			}
		}
		if err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
	}
}

func answer(line []byte, asFork bool) (reply object) {
	refused := try(func() {
		var asked question
		numbers := json.NewDecoder(bytes.NewReader(line))
		numbers.UseNumber() // foreign numbers must come back as they were
		if err := numbers.Decode(&asked); err != nil {
			refuse("invalid-value", "", "not a question: %v", err)
		}
		now := instant("now", asked.Now)
		if asked.Policy != "first-wins" && asked.Policy != "consensus" {
			refuse("invalid-value", "policy", "%q is not known", asked.Policy)
		}
		switch {
		case asked.Op != "resolve" && asked.Op != "reconcile":
			refuse("invalid-value", "op", "%q is not known", asked.Op)
		case asFork:
			reply = answerAsFork(asked)
		case asked.Op == "resolve":
			reply = answerOne(asked, now)
		default:
			reply = answerAll(asked, now)
		}
	})
	if refused != nil {
		return object{"error": refused}
	}
	return reply
}

func answerOne(asked question, now time.Time) object {
	asks := readRequest(asked.Request)
	if asks == nil {
		return object{"verdict": nil, "cronJob": asked.Current}
	}
	current := readState(asked.Current)
	verdict, desired := resolve(current, *asks, now, asked.Policy)
	return object{"verdict": verdict, "cronJob": written(desired, asked.Current)}
}

func answerAll(asked question, now time.Time) object {
	var requests []request
	unreadable := map[source]bool{}
	for _, manifest := range asked.Requests {
		refused := try(func() {
			if asks := readRequest(manifest); asks != nil {
				requests = append(requests, *asks)
			}
		})
		if refused == nil {
			continue
		}
		if try(func() { unreadable[readSource(manifest)] = true }) != nil {
			panic(*refused) // nobody can say whose claim has to stand
		}
	}
	verdicts, desired := reconcile(readState(asked.Current), requests, unreadable, now, asked.Policy)
	named := map[string]string{}
	for who, verdict := range verdicts {
		named[who.namespace+"/"+who.name] = verdict
	}
	return object{"verdicts": named, "cronJob": written(desired, asked.Current)}
}

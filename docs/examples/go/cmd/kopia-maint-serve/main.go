// SPDX-License-Identifier: Apache-2.0

// The command kopia-maint-serve answers the conformance wire format of kopia-maint with the package kopiamaint, one
// line of JSON for each line of standard input:
//
//	kopia-maint conformance -- kopia-maint-serve
package main

import (
	"log"
	"os"

	"example.com/kopia-maint/internal/lines"
	"example.com/kopia-maint/kopiamaint"
)

func main() {
	if err := lines.Serve(os.Stdin, os.Stdout, kopiamaint.Answer); err != nil {
		log.Fatal(err)
	}
}

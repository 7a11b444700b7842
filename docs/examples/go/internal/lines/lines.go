// SPDX-License-Identifier: Apache-2.0

// Package lines answers JSON lines: one answer for each line, until the end of the input.
package lines

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"syscall"
)

// Serve writes an answer for every line of in to out. It returns nil at the end of the input, and when nobody reads
// the answers any more.
func Serve(in io.Reader, out io.Writer, answer func(line []byte) map[string]any) error {
	lines, answers := bufio.NewReader(in), json.NewEncoder(out)
	for {
		line, end := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := answers.Encode(answer(line)); errors.Is(err, syscall.EPIPE) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if end == io.EOF {
			return nil
		} else if end != nil {
			return end
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"fmt"
	"strings"
)

// Code says what kind of fault an [Error] is. The codes are those of the conformance wire format.
type Code string

// The codes. InvalidManifest is about the shape of an object or annotation, InvalidValue about a value in it.
const (
	InvalidValue       Code = "invalid-value"
	InvalidManifest    Code = "invalid-manifest"
	RepositoryMismatch Code = "repository-mismatch"
	StateTooLarge      Code = "state-too-large"

	Syntax      Code = "syntax"      // Kubernetes refuses the schedule
	TimeZone    Code = "time-zone"   // the schedule names a time zone
	TooLong     Code = "too-long"    // the schedule has over 256 characters
	Unprintable Code = "unprintable" // the schedule holds something else than printable ASCII
	NeverFires  Code = "never-fires" // no date ever matches the schedule that is asked for
)

// Error is what this package refuses, and the only type of error that it makes:
//
//	var refused *kopiamaint.Error
//	if errors.As(err, &refused) && refused.Code == kopiamaint.NeverFires { … }
type Error struct {
	Code    Code
	Message string // what is wrong and what is allowed, without the path
	Path    string // the field inside the object that was read, or ""

	Source     SourceRef // the source at fault; zero where it is not known
	SecretName string    // the Secret that this source names; "" where it is not known
}

// Error returns the whole sentence, field path first.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// plainly returns what an exported function returns: a refusal as an error, and with it no value.
func plainly[T any](value T, refused *Error) (T, error) {
	if refused != nil {
		var none T
		return none, refused
	}
	return value, nil
}

// at returns the error with path in front of its own.
func (e *Error) at(path string) *Error {
	if path != "" && e.Path != "" && !strings.HasPrefix(e.Path, "[") {
		path += "."
	}
	e.Path = path + e.Path
	return e
}

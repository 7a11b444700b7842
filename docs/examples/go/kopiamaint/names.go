// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"regexp"
	"strings"
	"time"
)

// kindOfName is what Kubernetes accepts as a name, as apimachinery's validation has it.
type kindOfName struct {
	what    string
	longest int
	pattern *regexp.Regexp
}

var (
	namespaceName  = kindOfName{"namespace", 63, regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)}
	objectName     = kindOfName{"name", 253, regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)}
	keyName        = kindOfName{"key", 253, regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)}
	policyName     = kindOfName{"policy", 63, regexp.MustCompile(`^[a-z0-9-]+$`)}
	repositoryHash = kindOfName{"repository hash", 16, regexp.MustCompile(`^[0-9a-f]{16}$`)}
)

func (k kindOfName) check(text string) *Error {
	if !k.accepts(text) {
		return refuse(InvalidValue, "%s %.60q is not valid, Kubernetes would refuse it", k.what, text)
	}
	return nil
}

func (k kindOfName) accepts(text string) bool {
	return len(text) <= k.longest && k.pattern.MatchString(text) &&
		!(k.pattern == keyName.pattern && (text == "." || strings.HasPrefix(text, "..")))
}

// timeText is RFC 3339; time.Parse alone would take "T1:00:00" and a comma, too.
var timeText = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$`)

func parseTime(text string) (time.Time, *Error) {
	if parts := timeText.FindStringSubmatch(text); parts != nil && len(text) <= 64 {
		parsed, err := time.Parse(time.RFC3339, strings.ToUpper(parts[1]+"T"+parts[2]+parts[3]))
		if err == nil && parsed.Year() > 0 {
			return wholeSeconds(parsed)
		}
	}
	return time.Time{}, refuse(InvalidValue, "%.60q is not an RFC 3339 time with a zone, such as 2024-01-15T10:30:00Z", text)
}

// wholeSeconds returns a time in UTC, cut to whole seconds, as the claims have it.
func wholeSeconds(t time.Time) (time.Time, *Error) {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return t, refuse(InvalidValue, "a time must be within the years 1 to 9999 in UTC")
	}
	return t, nil
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

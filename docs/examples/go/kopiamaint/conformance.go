// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	longestLine     = 64 * 1024 * 1024
	deepestLine     = 100
	defaultOperator = "volsync-system"
)

// Answer answers one line of the conformance wire format, whatever is in it, with what encoding/json can write.
// It is how this package is held against the vectors of kopia-maint, and how a fork holds its copy against them.
func Answer(line []byte) Object {
	q, refused := readQuestion(line)
	if refused == nil {
		var answer Object
		if answer, refused = q.answer(); refused == nil {
			return answer
		}
	}
	return Object{"error": Object{"code": refused.Code, "message": refused.Message, "path": refused.Path}}
}

type question struct {
	fields
	now    time.Time
	policy Policy
}

func readQuestion(line []byte) (*question, *Error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber() // foreign numbers come back as they were
	switch err := decoder.Decode(&value); {
	case len(line) > longestLine:
		return nil, refuse(InvalidValue, "the line is longer than %d bytes", longestLine)
	case err == nil && (decoder.More() || !utf8.Valid(line)):
		return nil, refuse(InvalidValue, "the line is not one JSON object")
	case err != nil:
		return nil, refuse(InvalidValue, "the line is not JSON: %v", err)
	}
	asked, isObject := value.(Object)
	if !isObject || !isPlain(asked, deepestLine) {
		return nil, refuse(InvalidValue, "the line must be a JSON object, at most %d deep, of numbers of 64 bits", deepestLine)
	}
	return &question{fields: fields{asked, "", new(*Error)}}, nil
}

// isPlain returns whether a JSON value nests less than depth deep, and holds no number that overflows.
func isPlain(value any, depth int) bool {
	plain := depth > 0
	switch value := value.(type) {
	case Object:
		for _, member := range value {
			plain = plain && isPlain(member, depth-1)
		}
	case []any:
		for _, item := range value {
			plain = plain && isPlain(item, depth-1)
		}
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			number, _ := strconv.ParseFloat(value.String(), 64)
			return plain && !math.IsInf(number, 0)
		}
	}
	return plain
}

func (q *question) answer() (Object, *Error) {
	op, refused := q.word("op")
	answers, known := map[string]func() (Object, *Error){
		"resolve": q.resolve, "reconcile": q.reconcile, "plan": q.plan, "handOver": q.handOver, "withdraw": q.withdraw,
	}[op]
	if refused == nil && !known {
		refused = refuse(InvalidValue, "%.60q is not known", op).at("op")
	}
	if refused == nil && op != "handOver" && op != "withdraw" {
		var text string
		if text, refused = q.word("now"); refused == nil {
			if q.now, refused = parseTime(text); refused != nil {
				refused.at("now")
			}
		}
	}
	if refused == nil {
		if q.policy, refused = policyOf(q.members["policy"]); refused != nil {
			refused.at("policy")
		}
	}
	if refused != nil {
		return nil, refused
	}
	return answers()
}

// word returns a member of the question that must be a string.
func (q *question) word(key string) (string, *Error) {
	text, isText := q.members[key].(string)
	if !isText {
		return "", refuse(InvalidValue, "must be a string, not %s", typeName(q.members[key])).at(key)
	}
	return text, nil
}

// list returns a member of the question that must be a list of objects; what is no object becomes nil.
func (q *question) list(key string) ([]Object, *Error) {
	items, isList := q.members[key].([]any)
	if !isList {
		return nil, refuse(InvalidValue, "must be a list, not %s", typeName(q.members[key])).at(key)
	}
	objects := make([]Object, len(items))
	for i, item := range items {
		objects[i], _ = item.(Object)
	}
	return objects, nil
}

// policyOf reads the name of a policy, or {"name": "bounded", "policy": …, "shortest": "1h", "longest": "744h"}.
func policyOf(value any) (Policy, *Error) {
	if name, isText := value.(string); isText {
		policy, err := PolicyByName(name)
		return policy, asRefusal(err)
	}
	settings, _ := value.(Object)
	if settings["name"] != "bounded" {
		return nil, refuse(InvalidValue, "must be the name of a policy, or a bounded one")
	}
	inner, refused := policyOf(settings["policy"])
	if refused != nil {
		return nil, refused
	}
	var bounds [2]time.Duration
	for i, key := range []string{"shortest", "longest"} {
		if settings[key] == nil {
			continue
		}
		text, _ := settings[key].(string)
		bound, err := time.ParseDuration(text)
		if err != nil {
			return nil, refuse(InvalidValue, "%.60q is not a duration, such as 90m", text).at(key)
		}
		bounds[i] = bound
	}
	policy, err := NewBounded(inner, bounds[0], bounds[1])
	return policy, asRefusal(err)
}

// asRefusal returns what an exported function of this package refused.
func asRefusal(err error) *Error {
	refused, _ := err.(*Error)
	return refused
}

func (q *question) resolve() (Object, *Error) {
	manifest, _ := q.members["request"].(Object)
	request, refused := readRequest(manifest)
	if refused != nil {
		return nil, refused.at("request")
	}
	if request == nil {
		return Object{"verdict": nil, "cronJob": q.members["current"]}, nil
	}
	current, refused := q.current()
	if refused != nil {
		return nil, refused
	}
	decided, err := Resolve(current, *request, q.now, q.policy)
	if err != nil {
		return nil, asRefusal(err)
	}
	written, refused := q.written(decided.Desired)
	return Object{"verdict": decided.Verdict, "cronJob": written}, refused
}

func (q *question) reconcile() (Object, *Error) {
	manifests, refused := q.list("requests")
	if refused != nil {
		return nil, refused
	}
	var requests []Request
	var unreadable []SourceRef
	for i, manifest := range manifests {
		switch request, refused := readRequest(manifest); {
		case refused != nil && refused.Source == SourceRef{}:
			return nil, refused.at(fmt.Sprintf("requests[%d]", i)) // nobody can say whose claim stands
		case refused != nil:
			unreadable = append(unreadable, refused.Source)
		case request != nil:
			requests = append(requests, *request)
		}
	}
	current, refused := q.current()
	if refused != nil {
		return nil, refused
	}
	decided, err := Reconcile(current, requests, q.now, q.policy, unreadable)
	if err != nil {
		return nil, asRefusal(err)
	}
	verdicts := Object{}
	for source, standing := range decided.Standings {
		verdicts[source.String()] = standing.Verdict
	}
	written, refused := q.written(decided.Desired)
	return Object{"verdicts": verdicts, "cronJob": written}, refused
}

func (q *question) handOver() (Object, *Error) {
	namespace, refused := q.word("namespace")
	if refused != nil {
		return nil, refused
	}
	return q.changed(func(current *State) (*Decision, error) { return HandOver(current, namespace, q.policy) })
}

func (q *question) withdraw() (Object, *Error) {
	text, refused := q.word("source")
	if refused != nil {
		return nil, refused
	}
	namespace, name, _ := strings.Cut(text, "/")
	return q.changed(func(current *State) (*Decision, error) {
		return Withdraw(current, SourceRef{namespace, name}, q.policy)
	})
}

func (q *question) changed(act func(*State) (*Decision, error)) (Object, *Error) {
	current, refused := q.current()
	if refused != nil {
		return nil, refused
	}
	decided, err := act(current)
	if err != nil {
		return nil, asRefusal(err)
	}
	written, refused := q.written(decided.Desired)
	return Object{"cronJob": written}, refused
}

func (q *question) plan() (Object, *Error) {
	cluster := Cluster{Now: q.now, Policy: q.policy}
	var refused *Error
	if cluster.CronJobs, refused = q.list("cronJobs"); refused != nil {
		return nil, refused
	}
	if cluster.Sources, refused = q.list("replicationSources"); refused != nil {
		return nil, refused
	}
	if cluster.OperatorNamespace, refused = q.word("operatorNamespace"); refused != nil {
		return nil, refused
	}
	var isBool bool
	if cluster.Complete, isBool = q.members["complete"].(bool); !isBool {
		return nil, refuse(InvalidValue, "must be true or false, not %s", typeName(q.members["complete"])).at("complete")
	}
	plan, err := cluster.Plan()
	if err != nil {
		return nil, asRefusal(err)
	}
	cronJobs, standings := Object{}, Object{}
	for name := range plan.Decisions {
		cronJobs[name] = nil
	}
	for _, object := range cluster.CronJobs {
		metadata, _ := object["metadata"].(Object)
		state, _ := readState(object)
		if state != nil && metadata["namespace"] == cluster.OperatorNamespace && plan.Decisions[state.CronJobName()] != nil {
			cronJobs[state.CronJobName()] = object
		}
	}
	for _, write := range plan.Writes {
		switch before, _ := cronJobs[write.Name].(Object); write.Action {
		case Delete:
			cronJobs[write.Name] = nil
		default:
			cronJobs[write.Name] = merge(before, write.Body)
		}
	}
	for source, standing := range plan.Standings {
		standings[source.String()] = standing.Verdict
		if standing.Verdict == "" {
			standings[source.String()] = "withheld"
		}
	}
	withheld := append([]string{}, names(plan.Withheld, nil)...) // [] and not null
	return Object{"cronJobs": cronJobs, "standings": standings, "withheld": withheld}, nil
}

func (q *question) current() (*State, *Error) {
	if q.members["current"] == nil {
		return nil, nil
	}
	manifest, _ := q.members["current"].(Object)
	state, refused := readState(manifest)
	if refused == nil && state == nil {
		refused = refuse(InvalidManifest, "is not a maintenance CronJob, whose name is %sHASH", CronJobPrefix)
	}
	if refused != nil {
		refused.at("current")
	}
	return state, refused
}

// written returns the CronJob as it should be: the current one patched, or a new one.
func (q *question) written(desired *State) (any, *Error) {
	current, _ := q.members["current"].(Object)
	if desired == nil {
		return nil, nil
	}
	if current == nil {
		created, refused := manifest(desired, nil, defaultOperator)
		return created, refused
	}
	body, refused := patch(desired, current)
	return merge(current, body), refused
}

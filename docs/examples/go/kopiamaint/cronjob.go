// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "strings"

// The names on the cluster that users select and read by.
const (
	CronJobPrefix        = "kopia-maintenance-" // and the repository's hash
	MaintenanceLabel     = group + "/kopia-maintenance"
	HashLabel            = group + "/repository-hash"
	NamespaceLabelPrefix = "source-namespace." + group + "/" // a label for each namespace with a claim
	OwnerKey             = group + "/source-namespace"       // a label and an annotation; the annotation counts
	ConfigAnnotation     = group + "/repository-config"
	ConflictAnnotation   = group + "/schedule-conflict"
	ClaimsAnnotation     = group + "/schedule-claims"
)

// CronJob is what this package reads of a CronJob, for code that has a typed one.
type CronJob struct {
	Namespace, Name      string
	UID, ResourceVersion string
	Labels, Annotations  map[string]string
	Schedule             string // spec.schedule
}

// State returns what is stored on the CronJob: see [ReadState].
func (c CronJob) State() (*State, error) { return ReadState(c.Object()) }

// Object returns the CronJob as [ReadState], [WriteFor] and [Cluster] take it.
func (c CronJob) Object() Object {
	return Object{
		"metadata": Object{
			"namespace": c.Namespace, "name": c.Name, "uid": orNil(c.UID), "resourceVersion": orNil(c.ResourceVersion),
			"labels": members(c.Labels), "annotations": members(c.Annotations),
		},
		"spec": Object{"schedule": c.Schedule},
	}
}

func members(texts map[string]string) Object {
	object := Object{}
	for key, text := range texts {
		object[key] = text
	}
	return object
}

// ReadState returns what is stored on a maintenance CronJob, ours or the fork's. It returns nil, and no error, for a
// readable object of another kind or of a name that is not ours; list the operator's namespace only.
//
// A CronJob that is refused should stay as it is until somebody has looked at it.
func ReadState(cronJob Object) (*State, error) { return plainly(readState(cronJob)) }

func readState(cronJob Object) (*State, *Error) {
	object := oneObject(cronJob)
	metadata := object.mapping("metadata")
	if isOther := !object.isKind("CronJob"); isOther && object.fault() == nil {
		return nil, nil
	}
	name := metadata.needed("name")
	if object.fault() == nil && !isOurs(name) {
		return nil, nil
	}
	if version := object.stored("apiVersion"); object.has("apiVersion") && version != "batch/v1" {
		object.refuse("apiVersion", "%.60q is not known, only batch/v1 is", version)
	}
	labels, annotations := metadata.mapping("labels"), metadata.mapping("annotations")
	state := &State{RepositoryHash: strings.TrimPrefix(name, CronJobPrefix)}
	if hash := labels.stored(HashLabel); labels.has(HashLabel) && hash != state.RepositoryHash {
		labels.refuse(HashLabel, "%.60q contradicts the CronJob's name, %s", hash, name)
	}
	for _, keys := range []fields{annotations, labels} {
		if state.Owner == "" && keys.has(OwnerKey) && keys.members[OwnerKey] != "" {
			state.Owner = keys.name(OwnerKey, namespaceName)
		}
	}
	claimsAt := annotations.at(ClaimsAnnotation)
	if text := annotations.stored(ClaimsAnnotation); annotations.has(ClaimsAnnotation) {
		claims, policy, refused := parseClaims(text)
		annotations.keep(refused, claimsAt)
		state.Claims, state.Policy = claims, policy
	}
	spec := object.mapping("spec")
	schedule, refused := parseSchedule(spec.needed("schedule"))
	spec.keep(refused, spec.at("schedule"))
	state.Schedule = schedule
	state.SecretName = nameIn(annotations.members, objectName, ConfigAnnotation)
	object.keep(state.checkMarks(), claimsAt)
	return state, object.fault()
}

// isOurs returns whether a CronJob in the operator's namespace is ours by its name.
func isOurs(name string) bool {
	return strings.HasPrefix(name, CronJobPrefix) && repositoryHash.accepts(name[len(CronJobPrefix):])
}

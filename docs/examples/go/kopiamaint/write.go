// SPDX-License-Identifier: Apache-2.0

package kopiamaint

import "strings"

// Write is what has to be written to the cluster.
type Write struct {
	Action          Action // Create, Update or Delete
	Namespace, Name string
	// Body is the manifest to create; the JSON merge patch, with resourceVersion; or the DeleteOptions.
	Body Object
	// UID and ResourceVersion are the preconditions of a deletion, which the DeleteOptions hold, too.
	UID, ResourceVersion string
}

// WriteFor returns what has to be written after a decision about cronJob, the object as it was read; nil: there was
// none. It returns nil where there is nothing to do. The template is what a new CronJob begins with: its job
// template, limits, and labels.
//
// An object that does not hold the decision's current state, or lies in another namespace, is refused: a stale
// decision is never written with a fresh resourceVersion. So is the deletion of one without uid and resourceVersion.
func WriteFor(decision Decision, cronJob, template Object, operatorNamespace string) (*Write, error) {
	return plainly(writeFor(decision, cronJob, template, operatorNamespace))
}

func writeFor(decision Decision, cronJob, template Object, operatorNamespace string) (*Write, *Error) {
	if refused := namespaceName.check(operatorNamespace); refused != nil {
		return nil, refused
	}
	var present *State
	metadata := fields{cronJob, "", new(*Error)}.mapping("metadata")
	if cronJob != nil {
		state, refused := readState(cronJob)
		if refused != nil {
			return nil, refused
		}
		if namespace := metadata.members["namespace"]; namespace != operatorNamespace {
			return nil, refuse(InvalidValue, "the CronJob is in namespace %v, not in %s", namespace, operatorNamespace)
		}
		if present = state; present == nil {
			return nil, refuse(InvalidValue, "the object is not a maintenance CronJob")
		}
	}
	if !present.Equal(decision.Current) {
		return nil, refuse(InvalidValue, "the CronJob is not the one that was decided about: read it, and decide again")
	}
	switch {
	case decision.Desired == nil && present == nil:
		return nil, nil
	case present == nil:
		body, refused := manifest(decision.Desired, template, operatorNamespace)
		return &Write{Create, operatorNamespace, decision.Desired.CronJobName(), body, "", ""}, refused
	case decision.Desired != nil:
		body, refused := patch(decision.Desired, cronJob)
		if body == nil {
			return nil, refused
		}
		return &Write{Update, operatorNamespace, present.CronJobName(), body, "", ""}, nil
	}
	uid, version := metadata.required("uid"), metadata.required("resourceVersion")
	body := Object{
		"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
		"preconditions": Object{"uid": uid, "resourceVersion": version},
	}
	return &Write{Delete, operatorNamespace, present.CronJobName(), body, uid, version}, metadata.fault()
}

// Patch returns the minimal JSON merge patch (RFC 7386) that makes cronJob hold the state, with its resourceVersion;
// nil: there is nothing to write. A CronJob of another repository, or that cannot be read, is refused.
func Patch(state *State, cronJob Object) (Object, error) {
	if refused := state.check(); refused != nil {
		return nil, refused
	}
	return plainly(patch(state, cronJob))
}

func patch(state *State, cronJob Object) (Object, *Error) {
	present, refused := readState(cronJob)
	if refused != nil {
		return nil, refused
	}
	if present == nil || present.RepositoryHash != state.RepositoryHash {
		return nil, refuse(RepositoryMismatch, "the object is not %s", state.CronJobName()).at("metadata.name")
	}
	metadata, _ := cronJob["metadata"].(Object)
	labels, _ := metadata["labels"].(Object)
	annotations, _ := metadata["annotations"].(Object)
	changes := Object{}
	if changed := difference(labels, labelsOf(state, labels)); len(changed) > 0 {
		changes["labels"] = changed
	}
	wanted := annotationsOf(state)
	if sameClaims(present, state) && annotations[ClaimsAnnotation] != nil { // in whatever layout
		delete(wanted, ClaimsAnnotation)
	}
	if changed := difference(annotations, wanted); len(changed) > 0 {
		if refused := checkSize(state, merge(annotations, changed)); refused != nil {
			return nil, refused
		}
		changes["annotations"] = changed
	}
	body := Object{}
	if !present.Schedule.Equal(state.Schedule) {
		body["spec"] = Object{"schedule": state.Schedule.text}
	}
	if len(changes) > 0 {
		body["metadata"] = changes
	}
	if len(body) == 0 {
		return nil, nil
	}
	if version := metadata["resourceVersion"]; version != nil {
		changes["resourceVersion"] = version
		body["metadata"] = changes
	}
	return body, nil
}

// sameClaims returns whether two states differ in nothing that the claims annotation holds.
func sameClaims(one, other *State) bool {
	return (&State{Claims: one.Claims, Policy: one.Policy}).Equal(&State{Claims: other.Claims, Policy: other.Policy})
}

// Manifest returns the state as a new CronJob in the operator's namespace. It begins with the template, less what is
// another object's there: what the API server fills in, and the labels and annotations that are ours.
func Manifest(state *State, template Object, operatorNamespace string) (Object, error) {
	refused := state.check()
	if refused == nil {
		refused = namespaceName.check(operatorNamespace)
	}
	if refused != nil {
		return nil, refused
	}
	return plainly(manifest(state, template, operatorNamespace))
}

// serverFields are the metadata that the API server fills in, and refuses or ignores on a new object.
var serverFields = []string{
	"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
	"deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
}

func manifest(state *State, template Object, operatorNamespace string) (Object, *Error) {
	object := fields{merge(Object{"apiVersion": "batch/v1", "kind": "CronJob"}, template), "", new(*Error)}
	if object.text("kind") != "CronJob" || object.text("apiVersion") != "batch/v1" {
		object.refuse("", "the template is not a CronJob of batch/v1")
	}
	metadata := object.mapping("metadata")
	labels, annotations := metadata.mapping("labels"), metadata.mapping("annotations")
	object.mapping("spec")
	if object.fault() != nil {
		return nil, object.fault()
	}
	ours := Object{
		"name": state.CronJobName(), "namespace": operatorNamespace,
		"labels": labelsOf(state, labels.members), "annotations": annotationsOf(state),
	}
	for _, key := range serverFields {
		ours[key] = nil
	}
	written := merge(object.members, Object{
		"metadata": ours, "status": nil, "spec": Object{"schedule": state.Schedule.text},
	})
	return written, checkSize(state, merge(annotations.members, ours["annotations"].(Object)))
}

// labelsOf returns every label of ours; nil for those that must not be there.
func labelsOf(state *State, present Object) Object {
	labels := Object{MaintenanceLabel: "true", HashLabel: state.RepositoryHash, OwnerKey: orNil(state.Owner)}
	for key := range present {
		if strings.HasPrefix(key, NamespaceLabelPrefix) {
			labels[key] = nil
		}
	}
	for _, namespace := range state.Namespaces() {
		labels[NamespaceLabelPrefix+namespace] = ""
	}
	return labels
}

// annotationsOf returns every annotation of ours; nil for those that must not be there.
func annotationsOf(state *State) Object {
	annotations := Object{
		OwnerKey: orNil(state.Owner), ConfigAnnotation: orNil(state.SecretName),
		ConflictAnnotation: nil, ClaimsAnnotation: claimsText(state),
	}
	if latest := state.LatestConflict(); latest != nil {
		annotations[ConflictAnnotation] = latest.Message()
	}
	return annotations
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func difference(present, wanted Object) Object {
	changed := Object{}
	for key, value := range wanted {
		if !same(present[key], value) {
			changed[key] = value
		}
	}
	return changed
}

// merge returns target with a JSON merge patch applied; target is not changed.
func merge(target, patch Object) Object {
	merged := make(Object, len(target)+len(patch))
	for key, value := range target {
		merged[key] = value
	}
	for key, value := range patch {
		switch change := value.(type) {
		case nil:
			delete(merged, key)
		case Object:
			inner, _ := merged[key].(Object)
			merged[key] = merge(inner, change)
		default:
			merged[key] = value
		}
	}
	return merged
}

func checkSize(state *State, annotations Object) *Error {
	size := 0
	for key, value := range annotations {
		text, _ := value.(string)
		size += len(key) + len(text)
	}
	if size <= annotationsLimit {
		return nil
	}
	blame, largest := "they are not ours", 0
	shares := map[string]int{}
	for _, source := range state.sources() {
		shares[source.Namespace] += len(claimText(source, state.Claims[source]))
		if shares[source.Namespace] > largest {
			largest = shares[source.Namespace]
			blame = "namespace " + source.Namespace + " has the largest share of the claims"
		}
	}
	return refuse(StateTooLarge, "the annotations of %s would need %d bytes for %d sources, Kubernetes allows %d: %s",
		state.CronJobName(), size, len(state.Claims), annotationsLimit, blame).at("metadata.annotations")
}

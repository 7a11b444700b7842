// How does VolSync's Kopia fork decide today? The negative control: internal/controller/mover/kopia/maintenance.go
// of its releases 0.16.3 and 0.16.5, retold. It has neither verdicts nor a whole list of its own; these are named
// after what it does.
package main

import (
	"encoding/json"
	"fmt"
)

func answerAsFork(asked question) object {
	if asked.Op == "resolve" {
		verdict, cronJob := ensure(asked.Current, asked.Request, asked.Now)
		return object{"verdict": verdict, "cronJob": cronJob}
	}
	current, verdicts, left := asked.Current, object{}, false
	for _, manifest := range asked.Requests {
		verdict, cronJob := ensure(current, manifest, asked.Now)
		if verdict == nil {
			continue
		}
		current, left = cronJob, left || verdict != "disabled"
		who := readSource(manifest)
		verdicts[who.namespace+"/"+who.name] = verdict
	}
	if !left { // its clean-up
		current = nil
	}
	return object{"verdicts": verdicts, "cronJob": current}
}

// ensure is what it does for one source whenever it is reconciled.
func ensure(current, given any, now string) (verdict, cronJob any) {
	manifest := manifestOf(given)
	metadata := at[object](manifest, "metadata", "")
	kopia := at[object](at[object](manifest, "spec", ""), "kopia", "spec")
	if kopia == nil {
		return nil, current
	}
	schedule, enabled := wantedFromFork(kopia)
	if !enabled || metadata["deletionTimestamp"] != nil {
		return "disabled", current
	}
	namespace, repository := readSource(given).namespace, at[string](kopia, "repository", "spec.kopia")
	if current == nil {
		hash := identity(repository, at[object](kopia, "customCA", "spec.kopia"))
		return "established", object{
			"apiVersion": "batch/v1", "kind": "CronJob", "spec": object{"schedule": schedule},
			"metadata": object{
				"name": prefix + hash, "namespace": "volsync-system",
				"labels":      object{mainKey: "true", hashKey: hash, ownerKey: namespace},
				"annotations": object{configKey: repository, ownerKey: namespace},
			},
		}
	}
	job := manifestOf(current)
	about, spec := at[object](job, "metadata", ""), at[object](job, "spec", "")
	labels, annotations := at[object](about, "labels", "metadata"), at[object](about, "annotations", "metadata")
	owner, _ := labels[ownerKey].(string)
	switch {
	case spec["schedule"] == schedule: // as text
		verdict = "agreed"
	case owner != "" && owner != namespace:
		verdict = "rejected"
		annotations = with(annotations, object{conflicted: fmt.Sprintf("Last conflict: Schedule '%s' requested from"+
			" namespace '%s' at %s (rejected - first-wins strategy)", schedule, namespace, now)})
	default:
		verdict = "established"
		spec = with(spec, object{"schedule": schedule})
		annotations = with(annotations, object{conflicted: nil})
	}
	labels = with(labels, object{ownerKey: namespace}) // also after a rejection: the next reconcile wins
	return verdict, with(job, object{"metadata": with(about, object{"labels": labels, "annotations": annotations}), "spec": spec})
}

func wantedFromFork(kopia object) (string, bool) {
	block := at[object](kopia, "maintenanceCronJob", "spec.kopia")
	days := at[json.Number](kopia, "maintenanceIntervalDays", "spec.kopia")
	schedule := at[string](block, "schedule", "spec.kopia.maintenanceCronJob")
	if schedule == "" {
		if schedule = intervals[string(days)]; schedule == "" {
			schedule = defaultSchedule
		}
	}
	on, stated := block["enabled"].(bool)
	return schedule, on || !stated && !(block == nil && days == "0")
}

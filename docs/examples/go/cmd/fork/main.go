// SPDX-License-Identifier: Apache-2.0

// The command fork answers the conformance wire format as VolSync's Kopia fork decides today: the negative control,
// which must fail vectors. It retells internal/controller/mover/kopia/maintenance.go of the releases 0.16.3 and 0.16.5,
// which has neither verdicts nor a whole list of its own; these are named after what it does.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"example.com/kopia-maint/internal/lines"
	"example.com/kopia-maint/kopiamaint"
)

type object = map[string]any

type question struct {
	Op               string
	Current, Request object
	Requests         []object
	Now              string
}

func main() {
	if err := lines.Serve(os.Stdin, os.Stdout, answer); err != nil {
		log.Fatal(err)
	}
}

func answer(line []byte) object {
	var asked question
	numbers := json.NewDecoder(bytes.NewReader(line))
	numbers.UseNumber()
	if err := numbers.Decode(&asked); err != nil {
		return refused(kopiamaint.InvalidValue, err.Error())
	}
	switch asked.Op {
	case "resolve":
		verdict, cronJob := ensure(asked.Current, asked.Request, asked.Now)
		return object{"verdict": verdict, "cronJob": cronJob}
	case "reconcile":
		return ensureAll(asked)
	}
	return refused(kopiamaint.InvalidValue, "the fork has no "+asked.Op)
}

func refused(code kopiamaint.Code, message string) object {
	return object{"error": object{"code": code, "message": message, "path": ""}}
}

func ensureAll(asked question) object {
	current, verdicts, left := asked.Current, object{}, false
	for _, source := range asked.Requests {
		verdict, cronJob := ensure(current, source, asked.Now)
		if verdict == nil {
			continue
		}
		current, left = cronJob, left || verdict != "disabled"
		about := mapping(source, "metadata")
		verdicts[text(about, "namespace")+"/"+text(about, "name")] = verdict
	}
	if !left { // its clean-up
		current = nil
	}
	return object{"verdicts": verdicts, "cronJob": current}
}

// ensure is what the fork does for one source whenever it is reconciled.
func ensure(current, source object, now string) (verdict any, cronJob object) {
	metadata, kopia := mapping(source, "metadata"), mapping(mapping(source, "spec"), "kopia")
	if kopia == nil {
		return nil, current
	}
	schedule, enabled := wantedFrom(kopia)
	if !enabled || metadata["deletionTimestamp"] != nil {
		return "disabled", current
	}
	namespace, secret, ca := text(metadata, "namespace"), text(kopia, "repository"), mapping(kopia, "customCA")
	if current == nil {
		repository := kopiamaint.Repository{SecretName: secret, CustomCA: kopiamaint.CustomCA{
			SecretName: text(ca, "secretName"), ConfigMapName: text(ca, "configMapName"), Key: text(ca, "key"),
		}}
		return "established", object{
			"apiVersion": "batch/v1", "kind": "CronJob", "spec": object{"schedule": schedule},
			"metadata": object{
				"name": repository.CronJobName(), "namespace": "volsync-system",
				"labels": object{
					kopiamaint.MaintenanceLabel: "true", kopiamaint.HashLabel: repository.Hash(), kopiamaint.OwnerKey: namespace,
				},
				"annotations": object{kopiamaint.ConfigAnnotation: secret, kopiamaint.OwnerKey: namespace},
			},
		}
	}
	about, spec := mapping(current, "metadata"), mapping(current, "spec")
	labels, annotations := mapping(about, "labels"), mapping(about, "annotations")
	owner := text(labels, kopiamaint.OwnerKey)
	switch {
	case spec["schedule"] == schedule: // as text
		verdict = "agreed"
	case owner != "" && owner != namespace:
		verdict = "rejected"
		annotations = with(annotations, kopiamaint.ConflictAnnotation, fmt.Sprintf("Last conflict: Schedule '%s' requested"+
			" from namespace '%s' at %s (rejected - first-wins strategy)", schedule, namespace, now))
	default:
		verdict = "established"
		spec = with(spec, "schedule", schedule)
		annotations = with(annotations, kopiamaint.ConflictAnnotation, nil)
	}
	labels = with(labels, kopiamaint.OwnerKey, namespace) // also after a rejection: the next reconcile wins
	about = with(with(about, "labels", labels), "annotations", annotations)
	return verdict, with(with(current, "metadata", about), "spec", spec)
}

func wantedFrom(kopia object) (schedule string, enabled bool) {
	block, hasBlock := kopia["maintenanceCronJob"].(object)
	days, _ := kopia["maintenanceIntervalDays"].(json.Number)
	schedule = text(block, "schedule")
	if schedule == "" {
		schedule = map[json.Number]string{"7": "0 2 * * 0", "30": "0 2 1 * *", "31": "0 2 1 * *"}[days]
	}
	if schedule == "" {
		schedule = kopiamaint.DefaultSchedule
	}
	on, stated := block["enabled"].(bool)
	return schedule, on || !stated && (hasBlock || days != "0")
}

func mapping(parent object, key string) object {
	value, _ := parent[key].(object)
	return value
}

func text(parent object, key string) string {
	value, _ := parent[key].(string)
	return value
}

// with returns a copy of a mapping with one member set, or gone where that is nil.
func with(parent object, key string, value any) object {
	changed := object{key: value}
	for other, member := range parent {
		if other != key {
			changed[other] = member
		}
	}
	if value == nil {
		delete(changed, key)
	}
	return changed
}

// Says what Kubernetes' YAML reader makes of scalars: of each string on a line of JSON, as it is and without quotes,
// whether it is read as that string; and of each document on a line, the string that it holds under "a".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

type question struct {
	Plain    string `json:"plain"`
	Document string `json:"document"`
}

func read(document string) any {
	var value map[string]any
	if err := yaml.Unmarshal([]byte(document), &value); err != nil {
		return nil
	}
	return value["a"]
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		answer, err := json.Marshal([]any{read("a: "+asked.Plain) == asked.Plain, read(asked.Document)})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(answer))
	}
}

// What does Go's encoding/json make of a repository's identity, and which hash does that have?
//
// Reads identities as JSON lines and writes each with the JSON that is hashed, and the hash: the first 16
// hexadecimal digits of its SHA-256. The types have the members of VolSync's Kopia fork, in its order.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"os"
)

type customCA struct {
	SecretName    string `json:"secretName,omitempty"`
	ConfigMapName string `json:"configMapName,omitempty"`
	Key           string `json:"key,omitempty"`
}

type identity struct {
	Repository string   `json:"repository"`
	CustomCA   customCA `json:"customCA"`
}

type answer struct {
	Identity identity `json:"identity"`
	JSON     string   `json:"json"`
	Hash     string   `json:"hash"`
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var asked identity
		if err := in.Decode(&asked); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		text, err := json.Marshal(asked)
		if err != nil {
			log.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if err := out.Encode(answer{asked, string(text), hex.EncodeToString(sum[:])[:16]}); err != nil {
			log.Fatal(err)
		}
	}
}

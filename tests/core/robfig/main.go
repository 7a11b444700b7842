// What does robfig/cron make of a schedule, and when would it run it?
//
// Reads requests as JSON lines on standard input and answers each with one line:
//
//	{"text": "0 2 * * *", "after": ["2024-01-01T00:00:00Z"], "zone": "UTC", "count": 5}
//	-> {"ok": true, "fields": [minute, hour, dom, month, dow], "next": [[UNIX SECONDS, …]]}
//	-> {"ok": true, "every": SECONDS, "next": …}
//	-> {"ok": false, "error": "…"}
//	-> {"ok": false, "hang": true}
//
// Fields are decimal strings, because a star is bit 63. A list of runs that is
// shorter than count ends where robfig/cron gave up. After a hang the program
// exits with status 3: a loop inside the library cannot be stopped otherwise.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/robfig/cron/v3"
)

const patience = 2 * time.Second

type request struct {
	Text  string      `json:"text"`
	After []time.Time `json:"after"`
	Zone  string      `json:"zone"`
	Count int         `json:"count"`
}

type answer struct {
	OK     bool      `json:"ok"`
	Error  string    `json:"error,omitempty"`
	Hang   bool      `json:"hang,omitempty"`
	Fields []string  `json:"fields,omitempty"`
	Every  int64     `json:"every,omitempty"`
	Next   [][]int64 `json:"next,omitempty"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			watchdog := time.AfterFunc(patience, func() {
				write(out, answer{Hang: true})
				out.Flush()
				os.Exit(3)
			})
			reply := answerTo(line)
			if !watchdog.Stop() {
				select {} // it is about to end the program
			}
			write(out, reply)
		}
		if in.Buffered() == 0 {
			out.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func write(out *bufio.Writer, reply answer) {
	line, err := json.Marshal(reply)
	if err != nil {
		log.Fatal(err)
	}
	out.Write(append(line, '\n'))
}

func answerTo(line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		log.Fatalf("%v: %s", err, line)
	}
	zone, err := time.LoadLocation(asked.Zone) // "" is UTC
	if err != nil {
		log.Fatal(err)
	}
	schedule, err := parse(asked.Text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	reply := answer{OK: true}
	switch s := schedule.(type) {
	case *cron.SpecSchedule:
		for _, bits := range []uint64{s.Minute, s.Hour, s.Dom, s.Month, s.Dow} {
			reply.Fields = append(reply.Fields, strconv.FormatUint(bits, 10))
		}
	case cron.ConstantDelaySchedule:
		reply.Every = int64(s.Delay / time.Second)
	}
	for _, after := range asked.After {
		runs := []int64{}
		for t := schedule.Next(after.In(zone)); !t.IsZero() && len(runs) < asked.Count; t = schedule.Next(t) {
			runs = append(runs, t.Unix())
		}
		reply.Next = append(reply.Next, runs)
	}
	return reply
}

// parse is cron.ParseStandard, with its panics (on "TZ=x", say) as errors.
func parse(text string) (schedule cron.Schedule, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return cron.ParseStandard(text)
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// readLines reads a JSON text a line and writes what the code of a generator makes of it, as read.mjs does.
func readLines(read func(text []byte) (map[string]any, []byte, error)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var result map[string]any
		if context, encoded, err := read(lines.Bytes()); err != nil {
			result = map[string]any{"refused": err.Error()}
		} else {
			result = map[string]any{"context": context, "encoded": string(encoded)}
		}
		line, err := json.Marshal(result)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}

func named(id string, name *string) map[string]any {
	return map[string]any{"id": id, "name": name}
}

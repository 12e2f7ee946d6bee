package anything

import (
	"os"

	"example.com/greet"
)

type Question struct {
	Name string `json:"name"`
}

type Answer struct {
	Greeting string `json:"greeting"`
	File     string `json:"file"`
}

func Apply(q Question) (*Answer, error) {
	data, err := os.ReadFile("words.txt")
	if err != nil {
		return nil, err
	}
	return &Answer{greet.Greet(q.Name), string(data)}, nil
}

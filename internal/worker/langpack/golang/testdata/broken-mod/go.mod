module test/probe

go 1.21

required example.com/greet v1.0.0

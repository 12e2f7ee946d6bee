module test/probe

go 1.21

module example.com/go-adapter

go 1.19

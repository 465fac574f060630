module pinsight/benches/seed-go

go 1.19

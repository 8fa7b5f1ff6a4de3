module toolgate.dev/e2e/cluster/own

go 1.26

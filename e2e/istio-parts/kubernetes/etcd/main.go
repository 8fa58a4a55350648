// The program etcd, whose own module cannot be built by its name: it replaces its parts by folders.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }

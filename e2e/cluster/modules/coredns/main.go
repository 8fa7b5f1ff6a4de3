// CoreDNS with only the plugins that the disposable cluster's Corefile names:
// each further one is minutes of building. It must never gain a plugin that
// forwards a query out of the cluster.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order is the order in which a query passes the plugins, whatever the
// order in the Corefile.
var directives = []string{"health", "ready", "errors", "kubernetes", "template"}

func main() {
	dnsserver.Directives = directives
	coremain.Run()
}

// Command opa is the Open Policy Agent, whole, with one plugin more: `envoy_ext_authz_grpc` answers
// Envoy's external authorization with a decision of OPA's.
//
// OPA's own plugin of that name is no package that Go's module proxy serves here, so this one takes
// its place. What a policy is given and what it returns are the same.
package main

import (
	"errors"
	"os"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/open-policy-agent/opa/v1/runtime"
)

func main() {
	runtime.RegisterPlugin(pluginName, factory{})
	if err := cmd.RootCommand.Execute(); err != nil {
		var exit *cmd.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.Exit)
		}
		os.Exit(1)
	}
}

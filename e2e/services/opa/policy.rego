# What the tests of `make test-services` have OPA decide.
package envoy.authz

request := input.attributes.request.http

# Envoy's own filter knows no principal behind a waypoint's internal listener.
caller := object.get(input.attributes, ["source", "principal"], "")

tier := "gold" if caller == "spiffe://cluster.local/ns/team-a/sa/team-a"

else := "basic"

default allow := {
	"allowed": false,
	"http_status": 403,
	"body": "OPA does not know this path\n",
	"headers": {"x-denied-by": "opa"},
}

allow := {
	"allowed": true,
	"headers": {"x-opa-caller": caller, "x-overwritten": "by OPA"},
	"request_headers_to_remove": ["x-dropped"],
	"response_headers_to_add": {"x-decided-by": "opa"},
	"dynamic_metadata": {"tier": tier},
} if {
	request.method == "GET"
	request.path in {"/zen", "/gold"}
}

allow := {
	"allowed": false,
	"http_status": 451,
	"body": "{\"reason\":\"legal\"}",
	"headers": {"content-type": "application/json", "x-denied-by": "opa", "x-tier": tier},
} if {
	request.path == "/legal"
}

# A credential for the origin.
allow := {"allowed": true, "headers": {"authorization": "Bearer from OPA"}} if {
	request.path == "/token"
}

# No decision that the server understands.
allow := {"allowed": "perhaps"} if request.path == "/broken"

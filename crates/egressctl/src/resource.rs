//! The resources that carry a configuration: the fields of their `spec`, and the words that those
//! accept (istio.io/api extensions/v1alpha1, Istio 1.30).

use crate::manifest::Kind;

/// A field of a resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) of: Of,
    pub(crate) about: &'static str,
}

/// What a field's value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of {
    Text,
    Integer,
    /// 64 hexadecimal digits.
    Digest,
    /// One of these, each with what it means.
    Words(&'static [(&'static str, &'static str)]),
    Object(&'static [Known]),
    List(&'static [Known]),
    /// An object that is not looked into.
    Opaque,
    /// The filter's own configuration.
    Configuration,
}

const fn known(name: &'static str, of: Of, about: &'static str) -> Known {
    Known { name, required: false, of, about }
}

const fn required(name: &'static str, of: Of, about: &'static str) -> Known {
    Known { required: true, ..known(name, of, about) }
}

/// The fields of a resource's `spec`.
pub(crate) fn spec(kind: Kind) -> &'static [Known] {
    match kind {
        Kind::PluginConfig => &[],
        Kind::WasmPlugin => WASM_PLUGIN,
        Kind::TrafficExtension => TRAFFIC_EXTENSION,
    }
}

/// The fields of a `TrafficExtension`'s `spec.wasm`.
pub(crate) const WASM: &[Known] = &[
    URL,
    SHA256,
    IMAGE_PULL_POLICY,
    IMAGE_PULL_SECRET,
    VERIFICATION_KEY,
    CONFIGURATION,
    PLUGIN_NAME,
    FAIL_STRATEGY,
    VM_CONFIG,
    TYPE,
];

const WASM_PLUGIN: &[Known] = &[
    SELECTOR,
    known(
        "targetRef",
        Of::Object(TARGET),
        "What the plugin is attached to; superseded by `targetRefs`.",
    ),
    TARGET_REFS,
    URL,
    SHA256,
    IMAGE_PULL_POLICY,
    IMAGE_PULL_SECRET,
    VERIFICATION_KEY,
    CONFIGURATION,
    PLUGIN_NAME,
    known("phase", Of::Words(WASM_PLUGIN_PHASES), PHASE),
    PRIORITY,
    FAIL_STRATEGY,
    VM_CONFIG,
    MATCH,
    TYPE,
];

const TRAFFIC_EXTENSION: &[Known] = &[
    SELECTOR,
    TARGET_REFS,
    known("phase", Of::Words(TRAFFIC_EXTENSION_PHASES), PHASE),
    PRIORITY,
    MATCH,
    known("wasm", Of::Object(WASM), "The filter: its image and its configuration."),
    known("lua", Of::Opaque, "A Lua script, in the place of `wasm`."),
];

const SELECTOR: Known = known(
    "selector",
    Of::Opaque,
    "Ignored by a waypoint: with it, the plugin is attached nowhere.",
);

/// The field with what the plugin is attached to.
pub(crate) const TARGET_REFS: Known = known(
    "targetRefs",
    Of::List(TARGET),
    "What the plugin is attached to, at most 16: for all egress, the waypoint's Gateway.",
);

/// The fields of an entry of `targetRefs`.
pub(crate) const TARGET: &[Known] = &[
    known(
        "group",
        Of::Text,
        "The API group of the kind: `gateway.networking.k8s.io` for a Gateway.",
    ),
    required("kind", Of::Text, "`Gateway`, `GatewayClass`, `Service` or `ServiceEntry`."),
    required("name", Of::Text, "The name of the Gateway, in the plugin's namespace."),
    known("namespace", Of::Text, "Not used: the plugin's own namespace."),
];

const URL: Known = required(
    "url",
    Of::Text,
    "The image, such as `oci://registry.example.com/platform/egress-filter:0.1.0`.",
);

const SHA256: Known = known(
    "sha256",
    Of::Digest,
    "The digest of the image's manifest (of an `http(s)://` url, of the file).",
);

const IMAGE_PULL_POLICY: Known = known(
    "imagePullPolicy",
    Of::Words(&[
        ("UNSPECIFIED_POLICY", "IfNotPresent, but Always for the tag `latest`."),
        ("IfNotPresent", "An image that was pulled before is used."),
        ("Always", "The image is pulled whenever the resource changes."),
    ]),
    "When the image is pulled.",
);

const IMAGE_PULL_SECRET: Known = known(
    "imagePullSecret",
    Of::Text,
    "The Secret with the registry's credentials, in the plugin's namespace.",
);

const VERIFICATION_KEY: Known = known("verificationKey", Of::Text, "Not implemented by Istio.");

const CONFIGURATION: Known =
    known("pluginConfig", Of::Configuration, "The policies, and what else the filter is told.");

const PLUGIN_NAME: Known =
    known("pluginName", Of::Text, "The plugin's name in Envoy's configuration and statistics.");

const PHASE: &str =
    "Where in the filter chain the plugin runs. AUTHZ: before Istio's own AuthorizationPolicy.";

const WASM_PLUGIN_PHASES: &[(&str, &str)] =
    &[("UNSPECIFIED_PHASE", UNSPECIFIED), ("AUTHN", AUTHN), ("AUTHZ", AUTHZ), ("STATS", STATS)];

const TRAFFIC_EXTENSION_PHASES: &[(&str, &str)] =
    &[("UNSPECIFIED", UNSPECIFIED), ("AUTHN", AUTHN), ("AUTHZ", AUTHZ), ("STATS", STATS)];

const UNSPECIFIED: &str = "Near the end of the chain, after Istio's AuthorizationPolicy.";
const AUTHN: &str = "Before Istio's authentication.";
const AUTHZ: &str = "Before Istio's AuthorizationPolicy.";
const STATS: &str = "After Istio's AuthorizationPolicy, before its statistics.";

const PRIORITY: Known = known(
    "priority",
    Of::Integer,
    "The order of plugins in one phase, highest first; 0 where it is left out.",
);

const FAIL_STRATEGY: Known = known(
    "failStrategy",
    Of::Words(&[
        (
            "FAIL_CLOSE",
            "The default: where the filter fails, its worker answers 503 until the configuration \
             changes.",
        ),
        (
            "FAIL_OPEN",
            "Where the filter fails or cannot be fetched, every request goes on unchecked.",
        ),
        ("FAIL_RELOAD", "Where the filter fails, it is started anew. Istio 1.27 and later."),
    ]),
    "What comes of requests where the filter fails.",
);

const VM_CONFIG: Known =
    known("vmConfig", Of::Opaque, "Environment variables. The filter reads none.");

const MATCH: Known = known(
    "match",
    Of::List(&[
        known(
            "mode",
            Of::Words(&[
                ("UNDEFINED", "As CLIENT_AND_SERVER."),
                ("CLIENT", "Outbound traffic. A waypoint has none: the plugin is never attached."),
                ("SERVER", "Inbound traffic, as all of a waypoint's is."),
                ("CLIENT_AND_SERVER", "All traffic."),
            ]),
            "Which direction of traffic.",
        ),
        known(
            "ports",
            Of::Opaque,
            "Which ports. On a waypoint no port matches: the plugin is never attached.",
        ),
    ]),
    "Which traffic passes the filter; all where it is left out.",
);

const TYPE: Known = known(
    "type",
    Of::Words(&[
        ("UNSPECIFIED_PLUGIN_TYPE", "As HTTP."),
        ("HTTP", "The plugin sees requests, which is what this filter is for."),
        ("NETWORK", "The plugin sees connections, of which this filter makes nothing."),
    ]),
    "What the plugin sees.",
);

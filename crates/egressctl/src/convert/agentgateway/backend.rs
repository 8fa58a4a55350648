//! `backend`, and `spec.policies` of an AgentgatewayBackend, which has the same fields: the
//! credentials that requests get on their way to the origin, and what else is done with them there.
//!
//! A credential takes the place of what the caller sent. Where it cannot be converted, the caller's
//! own must not go on in its place, so the header is removed.

use super::*;
use crate::convert::environment::Entry;
use crate::convert::names::Names;
use crate::convert::overlap;
use crate::convert::policy::Authorization;

/// The kinds of credentials that are not converted, and what to do instead.
const KINDS: &[(&str, &str)] = &[
    (
        "key",
        "is in plain text, to be read by whoever may read the plugin: put it into a Secret, give \
         that as `secretRef`, and convert again",
    ),
    (
        "aws",
        "no counterpart: requests are not signed here; send them through a service of your own \
         that signs them",
    ),
    (
        "azure",
        "no counterpart: `oauthClientCredentials` with the tenant's token endpoint, where the \
         application has a client secret",
    ),
    (
        "gcp",
        "no counterpart: `env` with a token that something else renews, or \
         `oauthClientCredentials`",
    ),
    ("jwtSign", "no counterpart: no tokens are signed here; `oauthClientCredentials` fetches them"),
    (
        "oauthTokenExchange",
        "no counterpart: a workload has a certificate, and no token to exchange; \
         `oauthClientCredentials` fetches one for the waypoint's own client",
    ),
    (
        "crossAppAccess",
        "no counterpart: a workload has a certificate, and no token to exchange; \
         `oauthClientCredentials` fetches one for the waypoint's own client",
    ),
];

/// `backend`. What AgentGateway does behind all of `traffic` is in the policy that is returned,
/// where `policy` has more than that.
pub(super) fn of_backend<'d>(
    backend: &At<'d>,
    namespace: Option<&str>,
    context: &mut Context<'_, 'd>,
    policy: &mut Policy,
    notes: &mut Notes<'d>,
) -> Option<Policy> {
    if backend.node.fields().is_none() {
        notes.wrong(backend, "an object");
    }
    let has_tls = context.library.originates_tls(&policy.hosts);
    let has_traffic = !policy.is_empty();
    let of = Origin { namespace, library: context.library };
    let mut last = behind::of_policy(policy);
    let environment = &mut *context.environment;
    let mut reader =
        Reader { namespace, environment, policy, listed: Vec::new(), places: Vec::new() };
    for field in backend.fields() {
        match field.name() {
            "auth" => reader.auth(&field, notes),
            "credentials" => reader.credentials(&field, notes),
            "tls" if has_tls => {
                let message = "left out: a DestinationRule has TLS for the hosts; see that it \
                    says the same";
                notes.field(&field, Effect::Hint, message);
            }
            "transformation" | "extAuth" | "http" => behind::read(&field, of, &mut last, notes),
            _ => elsewhere::tell_backend(&field, notes),
        }
    }
    let listed = std::mem::take(&mut reader.listed);
    if !listed.is_empty() {
        policy.backend.push(("credentials", Tree::list(listed)));
    }
    if last.is_empty() {
        return None;
    }
    if has_traffic {
        return Some(last);
    }
    policy.is_behind = true;
    policy.headers = last.headers;
    policy.features = last.features;
    None
}

/// What a policy or a backend says of the connection to the origin.
pub(super) fn backend_of<'d>(document: &At<'d>) -> Option<At<'d>> {
    document.at("spec.backend").or_else(|| document.at("spec.policies"))
}

/// Gives each host of a credential an Allow if it has none, since a credential without one is
/// refused: in the source every caller may use it.
pub(in crate::convert) fn guard<'d>(
    made: &mut Vec<(At<'d>, Policy)>,
    names: &mut Names,
    notes: &mut Notes<'d>,
) {
    let mut guards = Vec::new();
    for (document, policy) in made.iter().filter(|(_, policy)| !policy.backend.is_empty()) {
        let is_open = |host: &&String| {
            !made.iter().chain(&guards).any(|(_, other)| {
                let is_allow = |rule: &Authorization| rule.action == "Allow";
                let is_for = other.hosts.is_empty()
                    || other.hosts.iter().any(|wide| overlap::is_within(host, wide));
                !other.shadow && other.authorization.as_ref().is_some_and(is_allow) && is_for
            })
        };
        let open: Vec<String> = policy.hosts.iter().filter(is_open).cloned().collect();
        if open.is_empty() {
            continue;
        }
        let message = format!(
            "no Allow says who may use the credential for {}, so that every caller may, there and \
             here: an Allow of `true` is written, since one must say so; better say who may",
            open.iter().map(|host| format!("`{host}`")).collect::<Vec<_>>().join(", ")
        );
        let at = backend_of(document).unwrap_or_else(|| document.clone());
        notes.field(&at, Effect::Hint, message);
        let rule = Authorization { action: "Allow", expressions: vec!["true".to_owned()] };
        let guard = Policy {
            name: names.unique(&format!("{}-callers", policy.name)),
            comment: vec!["every caller may use the credential; better say who may".to_owned()],
            hosts: open,
            authorization: Some(rule),
            ..Policy::default()
        };
        guards.push((document.clone(), guard));
    }
    made.extend(guards);
}

struct Reader<'a> {
    namespace: Option<&'a str>,
    environment: &'a mut Environment,
    policy: &'a mut Policy,
    listed: Vec<Tree>,
    /// Where credentials go so far.
    places: Vec<String>,
}

/// Where a credential goes.
struct Location {
    /// The header, unless it goes into the query or a cookie.
    header: Option<String>,
    /// What tells it from other places.
    place: String,
    /// As it is in the result; none for the default.
    tree: Option<Tree>,
}

impl Reader<'_> {
    fn auth<'d>(&mut self, auth: &At<'d>, notes: &mut Notes<'d>) {
        let mut known = vec!["secretRef", "passthrough", "location", "credentials"];
        known.extend(KINDS.iter().map(|(kind, _)| *kind));
        let fields = notes.object(auth, &known);
        let mut seen = false;
        for field in &fields {
            match field.name() {
                "location" => continue,
                "credentials" => {
                    self.credentials(field, notes);
                    continue;
                }
                _ if seen => {
                    let message =
                        "a second kind of credential, of which a policy has one: left out";
                    notes.field(field, Effect::Looser, message);
                }
                "secretRef" => {
                    let location = auth.get("location");
                    if let Some(credential) = self.credential(field, location.as_ref(), notes) {
                        self.policy.backend.push(("auth", Tree::map(credential)));
                    }
                }
                "passthrough" => {
                    let message = "no counterpart, and none is needed: the caller's own \
                        `Authorization` goes on as it came. A RequestAuthentication on the \
                        waypoint verifies it, with `forwardOriginalToken: true`";
                    notes.field(field, Effect::Lost, message);
                }
                kind => {
                    let about = KINDS.iter().find(|(name, _)| *name == kind);
                    let about = about.map(|(_, about)| *about).unwrap_or_default();
                    let own = field.get("location").or_else(|| auth.get("location"));
                    let header = header_of(own.as_ref());
                    self.refuse(field, header, &format!("`{kind}`: {about}"), notes);
                }
            }
            seen = true;
        }
        if !self.policy.backend.iter().any(|(name, _)| *name == "auth") {
            location_left_out(auth.get("location").as_ref(), notes);
        }
    }

    fn credentials<'d>(&mut self, list: &At<'d>, notes: &mut Notes<'d>) {
        for item in notes.list(list) {
            let fields = notes.object(&item, &["secretRef", "location"]);
            let location = fields.iter().find(|field| field.name() == "location");
            match fields.iter().find(|field| field.name() == "secretRef") {
                Some(secret) => {
                    let Some(mut credential) = self.credential(secret, location, notes) else {
                        location_left_out(location, notes);
                        continue;
                    };
                    if location.is_none() {
                        let header = [("name", "Authorization"), ("prefix", "Bearer ")]
                            .map(|(name, text)| (name, Tree::text(text)));
                        let location = Tree::map([("header", Tree::map(header))]);
                        credential.push(("location", location));
                    }
                    self.listed.push(Tree::map(credential));
                }
                None => {
                    let header = header_of(location);
                    self.refuse(&item, header, "field `secretRef` is missing", notes);
                }
            }
        }
    }

    /// A credential that is in a Secret, as `env` and `location`.
    fn credential<'d>(
        &mut self,
        secret: &At<'d>,
        location: Option<&At<'d>>,
        notes: &mut Notes<'d>,
    ) -> Option<Vec<(&'static str, Tree)>> {
        let wanted = header_of(location);
        let location = match location.map(|location| read_location(location, notes)) {
            None => Location { header: wanted, place: place_of(None), tree: None },
            Some(Some(location)) => location,
            Some(None) => {
                self.refuse(secret, wanted, "where it goes is not known", notes);
                return None;
            }
        };
        let is_secret = |name: &str, expected: &str| {
            secret.get(name).is_none_or(|given| given.node.as_str() == Some(expected))
        };
        notes.object(secret, &["name", "group", "kind", "key"]);
        let objection = if !is_secret("kind", "Secret") || !is_secret("group", "") {
            Some("not a Secret: only Secrets can be mounted into a waypoint's environment")
        } else if secret.text_at("name").is_none_or(str::is_empty) {
            Some("field `name` is missing, which is the Secret's")
        } else if self.policy.hosts.is_empty() {
            Some(
                "a credential goes only to hosts that a policy names, and this one is for every \
                 host: target the routes or services that it is for",
            )
        } else if self.policy.hosts.iter().any(|host| host.contains('*')) {
            Some(
                "a credential goes only to hosts that a policy names exactly, and this one has a \
                 wildcard among its hosts: target what has exact names",
            )
        } else {
            None
        };
        if let Some(objection) = objection {
            self.refuse(secret, location.header, objection, notes);
            return None;
        }
        if self.places.contains(&location.place) {
            let message = "a second credential for the same place: left out";
            notes.field(secret, Effect::Lost, message);
            return None;
        }
        self.places.push(location.place);
        let name = secret.text_at("name").unwrap_or_default();
        let key = secret.text_at("key").unwrap_or("Authorization");
        let (variable, is_known) = self.environment.variable(Entry {
            namespace: self.namespace.map(str::to_owned),
            secret: name.to_owned(),
            key: key.to_owned(),
        });
        if !is_known {
            let (name, key) = (name.escape_debug(), key.escape_debug());
            let message = format!(
                "read from the waypoint's environment: give its container, by \
                 `spec.infrastructure.parametersRef` of the Gateway, `env: [{{name: {variable}, \
                 valueFrom: {{secretKeyRef: {{name: {name}, key: {key}}}}}}}]`, with the Secret in \
                 the Gateway's namespace; the plugin gets it by `vmConfig: {{env: [{{name: \
                 {variable}, valueFrom: HOST}}]}}`"
            );
            notes.add(secret, Effect::Hint, message);
        }
        if secret.get("key").is_none() {
            let message = "the key is taken to be `Authorization`, AgentGateway's default; a \
                leading `Bearer ` is cut off the value, as there";
            notes.once("bearer", secret, message);
        }
        let mut credential = vec![("env", Tree::text(variable))];
        credential.extend(location.tree.map(|location| ("location", location)));
        Some(credential)
    }

    /// Notes a credential that is not in the result, and has the caller's own removed.
    fn refuse<'d>(
        &mut self,
        at: &At<'d>,
        header: Option<String>,
        message: &str,
        notes: &mut Notes<'d>,
    ) {
        let removable = header.filter(|name| compile::is_removable("request", name));
        let Some(name) = removable else {
            let message = format!("{message}; what the caller sends in its place goes on");
            notes.field(at, Effect::Looser, message);
            return;
        };
        let message = format!(
            "{message}. The origin gets no credential: the header `{}` is removed, so that the \
             caller's own is not taken for it",
            name.escape_debug()
        );
        notes.field(at, Effect::Lost, message);
        let removed = &mut self.policy.modifiers.request.remove;
        if !removed.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            removed.push(name);
        }
    }
}

fn location_left_out<'d>(location: Option<&At<'d>>, notes: &mut Notes<'d>) {
    if let Some(location) = location {
        let message = "left out: it says where a credential goes, and there is none in the result";
        notes.field(location, Effect::Hint, message);
    }
}

/// The header of a location, or the default one; none where it is no header.
fn header_of(location: Option<&At<'_>>) -> Option<String> {
    match location {
        None => Some("Authorization".to_owned()),
        Some(location) => location.text_at("header.name").map(str::to_owned),
    }
}

/// What tells a location from others.
fn place_of(location: Option<&At<'_>>) -> String {
    let named = ["header", "queryParameter", "cookie"].iter().find_map(|kind| {
        let name = location?.at(kind)?.text_at("name")?;
        let is_header = *kind == "header";
        Some(format!(
            "{kind} {}",
            if is_header { name.to_ascii_lowercase() } else { name.to_owned() }
        ))
    });
    named.unwrap_or_else(|| "header authorization".to_owned())
}

/// A location, if the engine takes it.
fn read_location<'d>(at: &At<'d>, notes: &mut Notes<'d>) -> Option<Location> {
    let errors = compile::errors(Position::Location, at);
    let known = errors.is_empty();
    for error in errors {
        let message = format!("{}: the credential is not in the result", error.message);
        notes.push(at, Effect::Lost, Diagnostic { message, ..error });
    }
    known.then(|| Location {
        header: at.text_at("header.name").map(str::to_owned),
        place: place_of(Some(at)),
        tree: Some(Tree::of(at.node)),
    })
}

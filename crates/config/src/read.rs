//! From JSON to [`Config`].

use super::backend;
use super::bodies;
use super::callouts;
use super::decode::{Errors, Node, Object, shown};
use super::fingerprint;
use super::json::{self, Json};
use super::reply::read_denial;
use super::shape::{self, Field};
use super::variables;
use super::{
    Action, AuditLog, AuthorizationConfig, BodiesConfig, Combine, ConditionalConfig, Config,
    ConfigError, DefaultAction, Expr, HeaderModifiersConfig, HeaderRulesConfig, HeaderValueConfig,
    HostBinding, HostPattern, IdentityConfig, MAX_POLICY_NAME, MAX_VALUES, Mode, PolicyConfig,
    RecordConfig, answer, bounded, ext_auth, fixed_headers, rate_limit, rewrite, totals,
    transformation,
};
use super::{record, router};
use egress_reading::header_name::{self, Direction};
use egress_reading::host::is_host_name;
use egress_reading::host::is_trust_domain;
use egress_reading::path_safety::PathSafety;

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every error of its shape: JSON, fields, types, names, limits.
    pub fn parse(json: &[u8]) -> Result<Config, Vec<ConfigError>> {
        let (config, errors) = Config::parse_all(json);
        if errors.is_empty() { Ok(config) } else { Err(bounded(errors)) }
    }

    /// Reads what can be read of a configuration, and returns it with every error of its shape.
    /// So the expressions of a configuration with another error are still checked in the same run.
    pub fn parse_all(json: &[u8]) -> (Config, Vec<ConfigError>) {
        let mut errors = Errors::default();
        let mut config = Config {
            identity: IdentityConfig::default(),
            path_safety: PathSafety::default(),
            host_binding: HostBinding::default(),
            default_action: DefaultAction::default(),
            denial: None,
            deadline: callouts::DEADLINE,
            bodies: BodiesConfig::default(),
            audit: AuditLog::default(),
            access_log: false,
            record: RecordConfig::default(),
            variables: Vec::new(),
            policies: Vec::new(),
            fingerprint: 0,
        };
        if let Err(error) = totals::check_size(json.len()) {
            return (config, vec![error]);
        }
        if json.iter().all(u8::is_ascii_whitespace) {
            errors.add(
                "",
                "the configuration is empty: give `policies`, an empty list if there are none yet",
            );
            return (config, errors.found);
        }
        let json = match json::read(json, MAX_VALUES) {
            Ok((json, values)) if values <= MAX_VALUES => json,
            Ok((_, values)) => {
                errors.add("", totals::too_many_values(values));
                return (config, errors.found);
            }
            Err(error) => {
                errors.add("", format!("not valid JSON: {error}"));
                return (config, errors.found);
            }
        };
        config.fingerprint = fingerprint::of(&json);
        let root = Node { place: String::new(), json: &json };
        if let Some(root) = root.object(shape::CONFIGURATION, &mut errors) {
            read_root(&root, &mut config, &mut errors);
        }
        let totals = std::mem::take(&mut errors.totals);
        if totals.tell(&mut errors) {
            // Policies that would take too long to compile are not compiled.
            config.variables = Vec::new();
            config.policies = Vec::new();
        }
        (config, errors.found)
    }
}

fn read_root(root: &Object<'_>, config: &mut Config, errors: &mut Errors) {
    if let Some(node) = root.get("identity") {
        config.identity = read_identity(&node, errors);
    }
    if let Some(node) = root.get("pathSafety") {
        config.path_safety = node.word(shape::PATH_SAFETY, errors).unwrap_or_default();
    }
    if let Some(node) = root.get("hostBinding") {
        config.host_binding = node.word(shape::HOST_BINDING, errors).unwrap_or_default();
    }
    if let Some(node) = root.get("defaultAction") {
        config.default_action = node.word(shape::DEFAULT_ACTION, errors).unwrap_or_default();
    }
    config.denial = root.get("denial").and_then(|node| read_denial(&node, errors));
    if let Some(node) = root.get("callouts") {
        config.deadline = callouts::read(&node, errors);
    }
    if let Some(node) = root.get("bodies") {
        config.bodies = bodies::read(&node, errors);
    }
    if let Some(audit) = root.get("audit").and_then(|node| node.object(shape::AUDIT, errors)) {
        if let Some(node) = audit.get("log") {
            config.audit = node.word(shape::AUDIT_LOG, errors).unwrap_or_default();
        }
        if let Some(node) = audit.get("accessLog") {
            config.access_log = node.boolean(errors).unwrap_or_default();
        }
        config.record = record::read(&audit, errors);
    }
    if let Some(node) = root.get("variables") {
        config.variables = variables::read(&node, errors);
    }
    if let Some(node) = root.get("policies") {
        config.policies = node
            .list(shape::POLICIES, errors)
            .iter()
            .filter_map(|node| read_policy(node, errors))
            .collect();
        refuse_duplicate_names(&config.policies, errors);
    }
}

fn read_identity(node: &Node<'_>, errors: &mut Errors) -> IdentityConfig {
    let mut identity = IdentityConfig::default();
    let Some(fields) = node.object(shape::IDENTITY, errors) else { return identity };
    if let Some(node) = fields.get("sources") {
        let items = node.list(shape::SOURCES, errors);
        identity.sources =
            items.iter().filter_map(|item| item.word(shape::IDENTITY_SOURCES, errors)).collect();
    }
    if let Some(node) = fields.get("trustDomains") {
        let items = node.list(shape::TRUST_DOMAINS, errors);
        for item in items {
            let Some(name) = item.string(errors) else { continue };
            if is_trust_domain(name) {
                identity.trust_domains.push(name.to_owned());
            } else {
                let message = format!(
                    "`{}` is no trust domain: expected lower-case letters, digits, `.`, `-`, `_`",
                    shown(name)
                );
                errors.add(&item.place, message);
            }
        }
    }
    identity
}

fn read_policy(node: &Node<'_>, errors: &mut Errors) -> Option<PolicyConfig> {
    errors.policy = match node.json {
        Json::Object(fields) => fields.iter().find_map(|(name, value)| match value {
            Json::String(text) if name == "name" => {
                Some(text.chars().take(MAX_POLICY_NAME).collect())
            }
            _ => None,
        }),
        _ => None,
    };
    let policy = read_policy_fields(node, errors);
    errors.policy = None;
    policy
}

fn read_policy_fields(node: &Node<'_>, errors: &mut Errors) -> Option<PolicyConfig> {
    let fields = node.object(shape::POLICY, errors)?;
    let name = fields.get("name").and_then(|node| read_name(&node, errors)).unwrap_or_default();
    let mut policy = PolicyConfig {
        name,
        place: node.place.clone(),
        hosts: Vec::new(),
        mode: Mode::default(),
        path_safety: None,
        default_action: None,
        denial: None,
        authorization: None,
        ext_auth: None,
        rate_limit: None,
        transformation: ConditionalConfig::default(),
        header_modifiers: HeaderModifiersConfig::default(),
        url_rewrite: None,
        host_rewrite: None,
        redirect: None,
        direct_response: None,
        request_timeout: None,
        retry: None,
        credentials: Vec::new(),
    };
    if let Some(node) = fields.get("hosts") {
        let items = node.list(shape::HOSTS, errors);
        policy.hosts = items.iter().filter_map(|item| read_host(item, errors)).collect();
    }
    if let Some(node) = fields.get("mode") {
        policy.mode = node.word(shape::MODE, errors).unwrap_or_default();
    }
    if let Some(node) = fields.get("pathSafety") {
        policy.path_safety = node.word(shape::PATH_SAFETY, errors);
        if fields.get("hosts").is_none() {
            errors.add(
                &node.place,
                "`pathSafety` needs `hosts`: without them it would be every host's; set \
                 `pathSafety` at the top level for that",
            );
        }
    }
    if let Some(node) = fields.get("defaultAction") {
        policy.default_action = node.word(shape::DEFAULT_ACTION, errors);
        // In shadow mode it is how a default of all hosts is tried.
        if fields.get("hosts").is_none() && policy.mode == Mode::Enforce {
            errors.add(
                &node.place,
                "`defaultAction` needs `hosts`: without them it would be every host's; set \
                 `defaultAction` at the top level for that, or try it with `mode: Shadow`",
            );
        }
    }
    policy.denial = fields.get("denial").and_then(|node| read_denial(&node, errors));
    fields.check(shape::POLICY_IS, errors);
    // A policy without `traffic` is kept: its name still counts for the check for duplicates.
    if let Some(traffic) =
        fields.get("traffic").and_then(|node| node.object(shape::TRAFFIC, errors))
    {
        read_traffic(&traffic, &mut policy, errors);
    }
    if let Some(node) = fields.get("backend") {
        policy.credentials.extend(backend::read(&node, errors));
        if fields.get("hosts").is_none() {
            errors.add(
                &node.place,
                "`backend` needs `hosts`: a credential goes only to hosts that are named",
            );
        }
    }
    Some(policy)
}

fn read_traffic(traffic: &Object<'_>, policy: &mut PolicyConfig, errors: &mut Errors) {
    let path_safety_alone = policy.path_safety.is_some();
    if shape::TRAFFIC.iter().all(|field| traffic.get(field.name).is_none()) && !path_safety_alone {
        errors.add(
            &traffic.place,
            "`traffic` is empty: give `authorization`, `transformation` or another of its fields",
        );
    }
    router::read(traffic, policy, errors);
    policy.authorization =
        traffic.get("authorization").and_then(|node| read_authorization(&node, errors));
    policy.ext_auth = traffic.get("extAuth").and_then(|node| ext_auth::read(&node, errors));
    policy.credentials = policy.ext_auth.as_ref().map(ext_auth::credentials).unwrap_or_default();
    policy.rate_limit = traffic.get("rateLimit").and_then(|node| rate_limit::read(&node, errors));
    if let Some(node) = traffic.get("transformation") {
        policy.transformation = transformation::read(&node, errors).unwrap_or_default();
    }
    if let Some(node) = traffic.get("headerModifiers") {
        policy.header_modifiers = fixed_headers::read(&node, errors);
    }
    policy.url_rewrite = traffic.get("urlRewrite").and_then(|node| rewrite::read(&node, errors));
    policy.host_rewrite =
        traffic.get("hostRewrite").and_then(|node| rewrite::read_host(&node, errors));
    policy.redirect =
        traffic.get("requestRedirect").and_then(|node| answer::read_redirect(&node, errors));
    policy.direct_response =
        traffic.get("directResponse").and_then(|node| answer::read_direct_response(&node, errors));
}

/// The policy's name. An illegal one is returned as well, cut to a legal length, because the
/// policy's other errors are reported with it.
fn read_name(node: &Node<'_>, errors: &mut Errors) -> Option<String> {
    let name = node.string(errors)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let shown: String = name.chars().take(MAX_POLICY_NAME).collect();
    if name.is_empty() || name.len() > MAX_POLICY_NAME || !name.bytes().all(legal) {
        let message = format!(
            "`{}` is no policy name: expected 1 to {MAX_POLICY_NAME} letters, digits, `-`, `_` \
             and `.` (it becomes part of a metric's name)",
            shown.escape_debug()
        );
        errors.add(&node.place, message);
    }
    Some(shown)
}

fn refuse_duplicate_names(policies: &[PolicyConfig], errors: &mut Errors) {
    let mut first = std::collections::HashMap::new();
    for policy in policies.iter().filter(|policy| !policy.name.is_empty()) {
        if let Some(earlier) = first.insert(policy.name.as_str(), policy.place.as_str()) {
            errors.policy = Some(policy.name.clone());
            errors.add(
                &format!("{}.name", policy.place),
                format!("the name is taken by {earlier}: give each policy its own"),
            );
        }
    }
    errors.policy = None;
}

fn read_host(node: &Node<'_>, errors: &mut Errors) -> Option<HostPattern> {
    let text = node.string(errors)?;
    if !errors.totals.host(&node.place) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (wildcard, name) = match lower.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, lower.as_str()),
    };
    if text == "*" {
        errors.add(&node.place, "`*` is no host: leave `hosts` out for a policy of all hosts");
        return None;
    }
    if !is_host_name(name) {
        let message = format!(
            "`{}` is no host: expected a name such as `api.example.com`, or one leading wildcard \
             such as `*.example.com`; no port, scheme or trailing dot",
            shown(text)
        );
        errors.add(&node.place, message);
        return None;
    }
    Some(if wildcard {
        HostPattern::Under(format!(".{name}"))
    } else {
        HostPattern::Exact(name.to_owned())
    })
}

/// Reads a rule. If another part of a rule is wrong, the rule is not used, but its expressions are
/// still checked.
#[inline(never)]
fn read_authorization(node: &Node<'_>, errors: &mut Errors) -> Option<AuthorizationConfig> {
    let fields = node.object(shape::AUTHORIZATION, errors)?;
    // If it is left out, AgentGateway's default holds. If it is a wrong word, that has been
    // reported, and the rule is not used.
    let action =
        fields.get("action").map_or(Some(Action::Allow), |node| node.word(shape::ACTION, errors));
    let combine = fields.get("match").and_then(|node| node.word(shape::COMBINE, errors));
    let on_error = fields.get("onError").and_then(|node| node.word(shape::ON_ERROR, errors));
    let policy = fields.get("policy").and_then(|node| node.object(shape::RULE, errors));
    let items = policy
        .and_then(|policy| policy.get("matchExpressions"))
        .map(|node| node.list(shape::MATCH_EXPRESSIONS, errors));
    let items = items.unwrap_or_default();
    if items.len() > 1 && fields.get("match").is_none() {
        errors.add(
            &fields.place,
            format!(
                "field `match` is missing: say whether the {} expressions must match `All` or \
                 `Any` (AgentGateway's documentation says all; its controller does any, for \
                 Require all)",
                items.len()
            ),
        );
    }
    Some(AuthorizationConfig {
        action: action.unwrap_or(Action::Deny),
        combine: combine.unwrap_or(Combine::All),
        on_error: on_error.unwrap_or_default(),
        expressions: items.iter().filter_map(|item| read_expression(item, errors)).collect(),
    })
}

pub(super) fn read_expression(node: &Node<'_>, errors: &mut Errors) -> Option<Expr> {
    let source = node.string(errors)?;
    if !errors.totals.expression(source, &node.place) {
        return None;
    }
    Some(Expr { place: node.place.clone(), source: source.to_owned() })
}

pub(super) fn read_header_rules(
    node: &Node<'_>,
    direction: Direction,
    shape: &[Field],
    errors: &mut Errors,
) -> HeaderRulesConfig {
    let Some(fields) = node.object(shape, errors) else { return HeaderRulesConfig::default() };
    let values =
        |name: &str, pseudo_allowed: bool, errors: &mut Errors| -> Vec<HeaderValueConfig> {
            let Some(node) = fields.get(name) else { return Vec::new() };
            let items = node.list(shape::HEADERS, errors);
            items
                .iter()
                .filter_map(|item| read_header_value(item, direction, pseudo_allowed, errors))
                .collect()
        };
    let set = values("set", true, errors);
    let add = values("add", false, errors);
    let remove = fields.get("remove").map_or_else(Vec::new, |node| {
        let items = node.list(shape::HEADERS, errors);
        items.iter().filter_map(|item| read_header_name(item, direction, false, errors)).collect()
    });
    HeaderRulesConfig { set, add, remove }
}

fn read_header_value(
    node: &Node<'_>,
    direction: Direction,
    pseudo: bool,
    errors: &mut Errors,
) -> Option<HeaderValueConfig> {
    let fields = node.object(&shape::header_value(direction, pseudo), errors)?;
    let name =
        fields.get("name").and_then(|node| read_header_name(&node, direction, pseudo, errors));
    let value = fields.get("value").and_then(|node| read_expression(&node, errors));
    // The expression is checked even if the name is wrong: all errors are reported at once.
    Some(HeaderValueConfig { name: name.unwrap_or_default(), value: value? })
}

pub(super) fn read_header_name(
    node: &Node<'_>,
    direction: Direction,
    pseudo: bool,
    errors: &mut Errors,
) -> Option<String> {
    let name = node.string(errors)?.to_ascii_lowercase();
    match header_name::check(&name, direction, pseudo) {
        Ok(()) => Some(name),
        Err(message) => {
            errors.add(&node.place, message);
            None
        }
    }
}

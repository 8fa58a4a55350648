//! Values that Istio takes as they are written, and that can hardly be meant.

use super::Reader;
use super::values::Subject;

impl Subject {
    /// Why a value can hardly be meant, if it cannot.
    pub(super) fn doubt(&self, value: &str, reader: &Reader<'_>) -> Option<String> {
        let rest = match self {
            // A namespace may have stars anywhere, and the others have none at all.
            Subject::Namespace
            | Subject::ServiceAccount
            | Subject::SourceAddress
            | Subject::DestinationAddress
            | Subject::Port => return None,
            Subject::Path if value.contains('{') => return None,
            Subject::TrustDomain => value.split_once('*').map_or("", |(_, rest)| rest),
            _ => value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value),
        };
        let shown = value.escape_debug();
        if rest.contains('*') {
            return Some(format!(
                "of `{shown}` only one `*`, at either end, stands for something; another is the \
                 character itself, here as in Istio, so the value hardly matches anything{}",
                self.instead(value)
            ));
        }
        let own = &reader.mesh.trust_domains;
        let is_pointer = matches!(self, Subject::Principal)
            && value.split_once('/').is_some_and(|(domain, _)| domain == "cluster.local")
            && value.split('/').count() != 5;
        if is_pointer && !own.iter().any(|domain| domain == "cluster.local") {
            let first = own.first().map(|domain| domain.escape_debug().to_string());
            let first = first.unwrap_or_default();
            return Some(format!(
                "`cluster.local` stands for the mesh's own trust domain only where the principal \
                 has all of `TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; in `{shown}` it is a trust \
                 domain that no caller has, here as in Istio: write `{first}/...`, or all five \
                 parts"
            ));
        }
        None
    }

    /// What to write instead, where that is plain.
    fn instead(&self, value: &str) -> String {
        let host = value.strip_suffix(":*").unwrap_or_default();
        let is_one = !host.trim_start_matches('*').contains('*');
        match self {
            Subject::Host if !host.is_empty() && is_one => {
                format!(": write `{}`, and each port that callers name", host.escape_debug())
            }
            Subject::Path => ": `{*}` stands for one segment of a path".to_owned(),
            Subject::Principal => ": `namespaces`, `serviceAccounts` and `trustDomains` look at \
                the parts of a principal"
                .to_owned(),
            _ => String::new(),
        }
    }
}

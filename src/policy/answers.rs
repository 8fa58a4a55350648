//! `requestRedirect` and `directResponse`, compiled.

use super::reply_rules::ReplyRules;
use crate::cel::Scope;
use crate::config::{ConfigError, DirectResponseConfig};

/// A compiled direct response.
#[derive(Debug)]
pub(crate) struct DirectResponse {
    pub(crate) status: u16,
    pub(crate) reply: ReplyRules,
}

impl DirectResponse {
    pub(crate) fn compile(
        policy: &str,
        config: &DirectResponseConfig,
        scope: Scope<'_>,
        errors: &mut Vec<ConfigError>,
    ) -> DirectResponse {
        let reply = ReplyRules::compile(policy, &config.reply, scope, errors);
        DirectResponse { status: config.status, reply }
    }
}

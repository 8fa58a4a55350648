//! `requestRedirect` and `directResponse`, compiled.

use super::reply_rules::ReplyRules;
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
        errors: &mut Vec<ConfigError>,
    ) -> DirectResponse {
        let reply = ReplyRules::compile(policy, &config.reply, errors);
        DirectResponse { status: config.status, reply }
    }
}

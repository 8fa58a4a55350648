//! Counters: what is counted, the names under which it is published, and a tally that waits to be
//! published. The names of histograms are here too.

use crate::call::Service;

/// One event, to be added to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The policy whose counter it is; the filter's own if none.
    pub policy: Option<usize>,
    /// What is counted.
    pub counter: Counter,
}

/// A kind of event that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Requests that went on.
    Allowed,
    /// Requests that were denied.
    Denied,
    /// Requests that a policy answered in the origin's place.
    Answered,
    /// Requests that a shadow policy would have denied.
    ShadowDenied,
    /// Expressions that failed.
    EvaluationErrors,
    /// Requests refused because a host call failed, or something else that must never fail.
    InternalErrors,
    /// Answers to calls that nobody waits for: late, doubled, or of a request that has gone.
    IgnoredAnswers,
    /// Calls to services about requests.
    Callouts,
    /// Such calls that gave no answer that could be used.
    CalloutFailures,
    /// Such calls that were not answered in time.
    CalloutTimeouts,
    /// Such calls that the proxy did not make: it has no such cluster, or that has no endpoint.
    CalloutsNotSent,
    /// Requests that were asked about, and whose answer was known already.
    CachedAnswers,
    /// Requests that went on although such a call failed.
    FailedOpen,
    /// Requests that were refused because there have been too many.
    RateLimited,
    /// Calls that fetched the token of a credential, or were to.
    TokenFetches,
    /// Such calls that brought no token.
    TokenFetchFailures,
}

impl Counter {
    /// All of them, in order.
    pub const ALL: [Counter; 16] = [
        Counter::Allowed,
        Counter::Denied,
        Counter::Answered,
        Counter::ShadowDenied,
        Counter::EvaluationErrors,
        Counter::InternalErrors,
        Counter::IgnoredAnswers,
        Counter::Callouts,
        Counter::CalloutFailures,
        Counter::CalloutTimeouts,
        Counter::CalloutsNotSent,
        Counter::CachedAnswers,
        Counter::FailedOpen,
        Counter::RateLimited,
        Counter::TokenFetches,
        Counter::TokenFetchFailures,
    ];

    /// The counter's name, for the filter or for a policy.
    ///
    /// A policy's counter has the policy and the plugin before its name, each in the form
    /// `<tag>=.=<value>;.;`. Istio's bootstrap (tools/packaging/common/envoy_bootstrap.json of
    /// istio/istio) makes a tag of it if `proxyConfig.extraStatTags` lists [`POLICY_TAG`] and
    /// [`PLUGIN_TAG`].
    #[must_use]
    pub fn name(self, of: Option<PolicyOf<'_>>) -> String {
        let what = self.what();
        match of {
            None => format!("egress_{what}"),
            Some(of) => of.tagged(&["policy_", what]),
        }
    }

    fn what(self) -> &'static str {
        match self {
            Counter::Allowed => "allowed",
            Counter::Denied => "denied",
            Counter::Answered => "answered",
            Counter::ShadowDenied => "shadow_denied",
            Counter::EvaluationErrors => "evaluation_errors",
            Counter::InternalErrors => "internal_errors",
            Counter::IgnoredAnswers => "ignored_answers",
            Counter::Callouts => "callouts",
            Counter::CalloutFailures => "callout_failures",
            Counter::CalloutTimeouts => "callout_timeouts",
            Counter::CalloutsNotSent => "callouts_not_sent",
            Counter::CachedAnswers => "cached_answers",
            Counter::FailedOpen => "failed_open",
            Counter::RateLimited => "rate_limited",
            Counter::TokenFetches => "token_fetches",
            Counter::TokenFetchFailures => "token_fetch_failures",
        }
    }
}

/// The tag of a policy's counters that has the policy's name.
pub const POLICY_TAG: &str = "egress_policy";
/// The tag of a policy's counters that has the plugin's name.
pub const PLUGIN_TAG: &str = "egress_plugin";

/// The policy and plugin that a counter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyOf<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// The name of the plugin that the policy belongs to.
    pub plugin: &'a str,
}

impl PolicyOf<'_> {
    /// The name of the histogram of how many milliseconds such a service took to answer, with the
    /// tags of a policy's counters.
    #[must_use]
    pub fn histogram(self, service: Service) -> String {
        self.tagged(&[match service {
            Service::Authorization => "ext_auth_milliseconds",
            Service::RateLimit => "rate_limit_milliseconds",
        }])
    }

    fn tagged(self, what: &[&str]) -> String {
        let PolicyOf { policy, plugin } = self;
        let (plugin, what) = (tag_value(plugin), what.concat());
        format!("{POLICY_TAG}=.={policy};.;{PLUGIN_TAG}=.={plugin};.;egress_{what}")
    }
}

/// The name of the gauge that is set to the fingerprint of a plugin's configuration.
#[must_use]
pub fn fingerprint_gauge(plugin: &str) -> String {
    let plugin = tag_value(plugin);
    format!("{PLUGIN_TAG}=.={plugin};.;egress_configuration")
}

/// A plugin's name as the value of a tag. It must not contain the characters that end a tag.
fn tag_value(plugin: &str) -> String {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-._~/:".contains(letter);
    plugin.chars().map(|letter| if legal(letter) { letter } else { '_' }).collect()
}

/// How many indices the counters of a policy, or of the filter itself, have: a power of two.
const STRIDE: usize = Counter::ALL.len().next_power_of_two();
/// How many counters a page of the tally has: those of sixteen policies.
const PAGE: usize = STRIDE * 16;

/// The counters of one configuration: what was counted and not yet published.
///
/// A page of counters takes memory only once one of its policies counts something: of 20,000
/// policies, a worker mostly sees a few.
#[derive(Debug, Default)]
pub struct Tally {
    /// The first page begins with the filter's own counters; each policy's follow, in order.
    pages: Vec<Option<Box<Page>>>,
    /// The indices of the counters that have something to publish.
    waiting: Vec<usize>,
}

type Page = [Entry; PAGE];

/// One counter.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// The proxy's number for the counter, once it has one.
    id: Option<u32>,
    waiting: u32,
}

impl Tally {
    /// Counts an event.
    #[inline]
    pub fn count(&mut self, count: Count) {
        let group = count.policy.map_or(0, |index| index.saturating_add(1));
        // There are nowhere near as many policies as would make this overflow.
        let index = group.wrapping_mul(STRIDE) | count.counter as usize;
        let (number, slot) = split(index);
        if !matches!(self.pages.get(number), Some(Some(_))) {
            self.add_page(number);
        }
        let Some(Some(page)) = self.pages.get_mut(number) else { return };
        let Some(entry) = page.get_mut(slot) else { return };
        if entry.waiting == 0 {
            self.waiting.push(index);
        }
        entry.waiting = entry.waiting.saturating_add(1);
    }

    #[cold]
    #[inline(never)]
    fn add_page(&mut self, number: usize) {
        if self.pages.len() <= number {
            self.pages.resize_with(number.saturating_add(1), || None);
        }
        if let Some(page) = self.pages.get_mut(number) {
            *page = Some(Box::new([Entry::default(); PAGE]));
        }
    }

    /// Publishes what was counted. `publish` gets a counter, the place of the proxy's number for it
    /// (which it fills in once the proxy has given one), and the amount to add. What it fails to
    /// publish is tried again the next time.
    pub fn publish<E>(
        &mut self,
        mut publish: impl FnMut(Count, &mut Option<u32>, u32) -> Result<(), E>,
        mut failed: impl FnMut(E),
    ) {
        let pages = &mut self.pages;
        self.waiting.retain(|index| {
            let (number, slot) = split(*index);
            let page = pages.get_mut(number).and_then(Option::as_deref_mut);
            let entry = page.and_then(|page| page.get_mut(slot));
            let (Some(entry), Some(count)) = (entry, at(*index)) else { return false };
            match publish(count, &mut entry.id, entry.waiting) {
                Ok(()) => {
                    entry.waiting = 0;
                    false
                }
                Err(error) => {
                    failed(error);
                    true
                }
            }
        });
    }

    /// How many pages have memory.
    #[cfg(test)]
    fn page_count(&self) -> usize {
        self.pages.iter().flatten().count()
    }
}

/// A counter's page, and its slot there.
fn split(index: usize) -> (usize, usize) {
    (index / PAGE, index % PAGE)
}

/// The counter with this index.
fn at(index: usize) -> Option<Count> {
    let counter = *Counter::ALL.get(index % STRIDE)?;
    Some(Count { policy: (index / STRIDE).checked_sub(1), counter })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_policys_counter_has_policy_and_plugin_before_its_name() {
        let name = |policy, plugin| Counter::Denied.name(Some(PolicyOf { policy, plugin }));
        assert_eq!(
            name("p.a", "egress-direct.egress-filter~istio-translated-wasmplugin"),
            "egress_policy=.=p.a;.;\
             egress_plugin=.=egress-direct.egress-filter~istio-translated-wasmplugin;.;\
             egress_policy_denied",
        );
        assert_eq!(
            name("p", "a;.;b c\u{9b}"),
            "egress_policy=.=p;.;egress_plugin=.=a_._b_c_;.;egress_policy_denied"
        );
        assert_eq!(name("p", ""), "egress_policy=.=p;.;egress_plugin=.=;.;egress_policy_denied");
        assert_eq!(Counter::Denied.name(None), "egress_denied");
    }

    fn published(tally: &mut Tally) -> Vec<(Count, Option<u32>, u32)> {
        let mut published = Vec::new();
        let publish = |count: Count, id: &mut Option<u32>, by: u32| -> Result<(), ()> {
            published.push((count, id.replace(7), by));
            Ok(())
        };
        tally.publish(publish, |()| {});
        published
    }

    #[test]
    fn what_was_counted_is_published_once_and_under_its_number() {
        let mut tally = Tally::default();
        let denied = Count { policy: Some(19_999), counter: Counter::Denied };
        let own = Count { policy: None, counter: Counter::IgnoredAnswers };
        for count in [denied, own, denied] {
            tally.count(count);
        }
        assert_eq!(published(&mut tally), [(denied, None, 2), (own, None, 1)]);
        assert_eq!(published(&mut tally), []);
        tally.count(denied);
        assert_eq!(published(&mut tally), [(denied, Some(7), 1)]);
    }

    #[test]
    fn what_could_not_be_published_waits() {
        let mut tally = Tally::default();
        let count = Count { policy: Some(0), counter: Counter::Allowed };
        tally.count(count);
        let mut failures = 0;
        tally.publish(|_, _, _| Err(()), |()| failures += 1);
        assert_eq!(failures, 1);
        tally.count(count);
        assert_eq!(published(&mut tally), [(count, None, 2)]);
    }

    #[test]
    fn policies_that_count_nothing_take_no_memory() {
        let mut tally = Tally::default();
        for policy in [None, Some(3), Some(10_000), Some(19_999)] {
            tally.count(Count { policy, counter: Counter::Allowed });
        }
        assert_eq!(tally.page_count(), 3);
    }
}

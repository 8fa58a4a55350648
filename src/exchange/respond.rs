//! What happens to the response, and to the trailers of both.

use super::body::Receiving;
use super::ending::{REQUEST_TRAILERS_FAILED, RESPONSE_FAILED, RESPONSE_TRAILERS_FAILED};
use super::facts;
use super::{Exchange, Expectation, Pairs, Part, State, Step};
use crate::config::Direction;
use crate::mends::{self, Mend};
use crate::policy::Engine;
use crate::policy::bodies::READS_BODIES;
use crate::request::Source;
use crate::stage::response;
use crate::trace::Trace;

/// The cause where the proxy's header lines do not have the form, or the number, that it says.
pub(super) const UNREADABLE: &str = "the proxy's header lines cannot be read";
/// The cause where a response comes before the request's body, which rules are to judge.
const UNJUDGED: &str = "it came before the request's body was judged";
/// The cause where a response's rules take more steps than a response has.
const OUT_OF_STEPS: &str = "its rules take too many steps";

impl Exchange {
    pub(super) fn respond<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        pairs: Pairs<'s>,
        trace: Option<&'s mut Trace>,
    ) -> Step<'s> {
        if self.expects(Part::ResponseHeaders) != Expectation::Read {
            return self.without(Part::ResponseHeaders);
        }
        if let State::Receiving(Receiving { is_enforced: true, .. }) = self.state
            && mends::is_on(Mend::EarlyResponse)
        {
            return self.reset(engine, source, (RESPONSE_FAILED, Some(UNJUDGED)), Vec::new());
        }
        let facts = facts::of_request(&self.request, source, &self.found);
        let transformed = pairs.read().zip(facts).map(|(response, facts)| {
            response::transform(engine, &self.found, &facts, &response, trace)
        });
        match transformed {
            Some(response) if !response.is_exhausted => {
                let response::Response { mut changes, headers, errors, .. } = response;
                self.notes.response(errors);
                if READS_BODIES {
                    self.expect_response(engine, &headers, &mut changes);
                }
                Step::Forward(changes)
            }
            Some(response) => {
                let failure = (RESPONSE_FAILED, Some(OUT_OF_STEPS));
                self.cut_off(engine, source, failure, response.errors)
            }
            None => {
                let failure = (RESPONSE_FAILED, Some(UNREADABLE));
                self.cut_off(engine, source, failure, Vec::new())
            }
        }
    }

    pub(super) fn trailers<'s>(
        &'s mut self,
        engine: &'s Engine,
        source: &'s dyn Source,
        direction: Direction,
        pairs: Pairs<'s>,
    ) -> Step<'s> {
        let (part, detail) = match direction {
            Direction::Request => (Part::RequestTrailers, REQUEST_TRAILERS_FAILED),
            Direction::Response => (Part::ResponseTrailers, RESPONSE_TRAILERS_FAILED),
        };
        if self.expects(part) != Expectation::Read {
            return self.without(part);
        }
        if !mends::is_on(Mend::Trailers) {
            return Step::Forward(Vec::new());
        }
        let Some(trailers) = pairs.read() else {
            return self.cut_off(engine, source, (detail, Some(UNREADABLE)), Vec::new());
        };
        Step::Forward(response::drop_trailers(engine, &self.found, direction, trailers))
    }
}

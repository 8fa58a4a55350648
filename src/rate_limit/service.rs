//! The messages of `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use egress_cel::data::Data;

use crate::protobuf::header::HeaderValue;
use crate::protobuf::{Field, Items, Malformed, Reader, Writer, value};

/// What a rate-limit service is asked: may this request pass, given all these descriptors?
#[derive(Debug)]
pub struct RateLimitRequest<'a> {
    /// The name space of the limits.
    pub domain: &'a str,
    /// The descriptors, each of which is counted.
    pub descriptors: &'a [Descriptor<'a>],
}

/// What a request is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor<'a> {
    /// Keys, none of them empty, and values.
    pub entries: Vec<(&'a str, String)>,
    /// The limit in place of the service's own: how many, in which unit of time.
    pub limit: Option<(u32, Unit)>,
    /// How many hits this one is; 1 where there is none.
    pub hits: Option<u64>,
}

/// A unit of time in which hits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, which a service may have, but which cannot be asked for.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Unit {
    /// The units, each with its number in a `RateLimit`. Those of a `RateLimitUnit`, which has no
    /// week, are the same.
    const NUMBERS: [(Unit, u64); 7] = [
        (Unit::Second, 1),
        (Unit::Minute, 2),
        (Unit::Hour, 3),
        (Unit::Day, 4),
        (Unit::Month, 5),
        (Unit::Year, 6),
        (Unit::Week, 7),
    ];

    /// The unit that can be asked for by this word.
    pub(crate) fn of_word(word: &str) -> Option<Unit> {
        Some(match word {
            "second" => Unit::Second,
            "minute" => Unit::Minute,
            "hour" => Unit::Hour,
            "day" => Unit::Day,
            "month" => Unit::Month,
            "year" => Unit::Year,
            _ => return None,
        })
    }

    fn number(self) -> u64 {
        Unit::NUMBERS.iter().find(|(unit, _)| *unit == self).map_or(0, |(_, number)| *number)
    }

    fn of_number(number: u64) -> Option<Unit> {
        Unit::NUMBERS.iter().find(|(_, of_unit)| *of_unit == number).map(|(unit, _)| *unit)
    }
}

impl RateLimitRequest<'_> {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(1, self.domain.as_bytes());
        for descriptor in self.descriptors {
            out.message(2, |out| descriptor.write(out));
        }
        out.finish()
    }
}

impl Descriptor<'_> {
    fn write(&self, out: &mut Writer) {
        for (key, value) in &self.entries {
            out.entry(1, key.as_bytes(), value.as_bytes());
        }
        if let Some((requests, unit)) = self.limit {
            out.message(2, |out| {
                out.number(1, u64::from(requests));
                out.number(2, unit.number());
            });
        }
        if let Some(hits) = self.hits {
            out.message(3, |out| out.number(1, hits));
        }
    }
}

/// What a rate-limit service answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RateLimitResponse<'a> {
    /// Whether the request may pass.
    pub code: Code,
    /// What it says of each descriptor, in the order of the descriptors.
    pub statuses: Vec<DescriptorStatus<'a>>,
    /// Headers for the response.
    pub response_headers: Vec<HeaderValue<'a>>,
    /// Headers for the request.
    pub request_headers: Vec<HeaderValue<'a>>,
    /// The body of the answer to a request that may not pass.
    pub body: &'a [u8],
    /// The entries of `dynamic_metadata`.
    pub metadata: Vec<(String, Data)>,
}

/// A decision. Only [`Code::Ok`] lets a request pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Code {
    /// None, or one that is not known.
    #[default]
    Unknown,
    /// The limits are not reached.
    Ok,
    /// A limit is reached.
    OverLimit,
}

/// What is said of one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DescriptorStatus<'a> {
    /// Whether this limit is reached.
    pub code: Code,
    /// The limit. A descriptor that no limit is for has none.
    pub limit: Option<Limit<'a>>,
    /// How many more hits the limit allows for now.
    pub remaining: u32,
    /// How long until it allows its full number again.
    pub until_reset: Duration,
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit<'a> {
    /// The service's name of it, if it has one.
    pub name: &'a str,
    /// How many hits it allows in a unit of time.
    pub requests: u32,
    /// The unit; `None` if it is not known.
    pub unit: Option<Unit>,
}

impl<'a> RateLimitResponse<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// If it is malformed, or larger than [`MAX_ITEMS`](crate::protobuf::MAX_ITEMS) and
    /// [`MAX_VALUES`](value::MAX_VALUES) allow.
    pub fn decode(message: &'a [u8]) -> Result<Self, Malformed> {
        let (mut answer, mut items) = (RateLimitResponse::default(), Items::new());
        let mut message = Reader::new(message);
        while let Some(field) = message.field()? {
            match field.number {
                1 => answer.code = Code::read(&field)?,
                2 => {
                    items.count()?;
                    answer.statuses.push(DescriptorStatus::read(field.message()?)?);
                }
                3 | 4 => {
                    items.count()?;
                    let header = HeaderValue::read(field.message()?)?;
                    if field.number == 3 {
                        answer.response_headers.push(header);
                    } else {
                        answer.request_headers.push(header);
                    }
                }
                5 => answer.body = field.bytes()?,
                6 => value::merge(&mut answer.metadata, field.message()?)?,
                _ => {}
            }
        }
        Ok(answer)
    }
}

impl Code {
    fn read(field: &Field<'_>) -> Result<Self, Malformed> {
        Ok(match field.varint()? {
            1 => Code::Ok,
            2 => Code::OverLimit,
            _ => Code::Unknown,
        })
    }
}

impl<'a> DescriptorStatus<'a> {
    fn read(mut message: Reader<'a>) -> Result<Self, Malformed> {
        let mut status = DescriptorStatus::default();
        let (mut seconds, mut nanos) = (0, 0);
        while let Some(field) = message.field()? {
            match field.number {
                1 => status.code = Code::read(&field)?,
                2 => status.limit.get_or_insert_default().merge(field.message()?)?,
                3 => status.remaining = field.uint32()?,
                4 => {
                    let mut duration = field.message()?;
                    while let Some(field) = duration.field()? {
                        match field.number {
                            1 => seconds = field.int64()?,
                            2 => nanos = field.int64()?,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        // A time that is over, or no duration, is none.
        let (seconds, nanos) = (u64::try_from(seconds), u32::try_from(nanos));
        if let (Ok(seconds), Ok(nanos @ 0..=999_999_999)) = (seconds, nanos) {
            status.until_reset = Duration::new(seconds, nanos);
        }
        Ok(status)
    }
}

impl<'a> Limit<'a> {
    fn merge(&mut self, mut message: Reader<'a>) -> Result<(), Malformed> {
        while let Some(field) = message.field()? {
            match field.number {
                1 => self.requests = field.uint32()?,
                2 => self.unit = Unit::of_number(field.varint()?),
                3 => self.name = field.text()?,
                _ => {}
            }
        }
        Ok(())
    }
}

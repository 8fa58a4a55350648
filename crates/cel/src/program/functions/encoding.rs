//! `base64`, digests, JSON and tokens.

use super::super::Value;
use super::super::json;
use super::{Row, bytes_at, made_bytes, text_at, unknown};
use crate::bounded::MAX_TEXT;
use crate::library::{encoding, hash, random};

/// How many bytes of JSON are written in a step.
const WRITTEN_A_STEP: usize = 2;

pub(super) const GLOBAL: &[Row] = &[
    ("base64.encode", |run, name, of| {
        let text = encoding::base64(bytes_at(name, of, 0)?);
        if text.len() > MAX_TEXT { Err(run.breach(name)) } else { Ok(Value::made(&text)) }
    }),
    ("base64.decode", |run, name, of| {
        let decoded = encoding::from_base64(bytes_at(name, of, 0)?);
        decoded.map(made_bytes).ok_or_else(|| run.unfit(name))
    }),
    ("sha256.encode", |_, name, of| Ok(Value::made(&hash::sha256_hex(bytes_at(name, of, 0)?)))),
    ("sha1.encode", |_, name, of| Ok(Value::made(&hash::sha1_hex(bytes_at(name, of, 0)?)))),
    ("md5.encode", |_, name, of| Ok(Value::made(&hash::md5_hex(bytes_at(name, of, 0)?)))),
    ("json", |run, name, of| json::read(run, name, bytes_at(name, of, 0)?)),
    ("toJson", |run, name, of| {
        let value = of.first().ok_or(unknown(name))?;
        let text = json::text(run, value).ok_or_else(|| run.unfit(name))?;
        run.spend_on(text.len(), WRITTEN_A_STEP)?;
        Ok(Value::made(&text))
    }),
    // The claims of a JSON Web Token (RFC 7519), which are the second part of its compact form. The
    // signature is not verified.
    ("unvalidatedJwtPayload", |run, name, of| {
        let mut parts = text_at(name, of, 0)?.split('.');
        let payload = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(payload), Some(_), None) => encoding::from_base64url(payload),
            _ => None,
        };
        match json::read(run, name, &payload.ok_or_else(|| run.unfit(name))?)? {
            claims @ Value::Map(_) => Ok(claims),
            _ => Err(run.unfit(name)),
        }
    }),
    ("uuid", |run, name, _| {
        random::uuid_text().map(|text| Value::made(&text)).ok_or_else(|| run.unfit(name))
    }),
    ("random", |run, name, _| random::number().map(Value::Double).ok_or_else(|| run.unfit(name))),
    // The policy's own error, which may be caught.
    ("fail", |_, name, _| Err(unknown(name))),
];

//! The two forms in which a guest names the service of a gRPC call.
//!
//! Envoy reads the argument as a serialised `envoy.config.core.v3.GrpcService`. Only where that
//! fails does it take the bytes for the name of a cluster.

/// What the argument says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GrpcService {
    /// It is no such message: the name of a cluster.
    Name(String),
    /// The field `envoy_grpc`: the cluster, and the authority where one is given.
    Envoy { cluster: String, authority: String },
    /// A message without `envoy_grpc`.
    NoTarget,
}

const ENVOY_GRPC: u64 = 1;
const CLUSTER_NAME: u64 = 1;
const AUTHORITY: u64 = 2;

impl GrpcService {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self::parse(bytes)
            .unwrap_or_else(|| Self::Name(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut found = Self::NoTarget;
        for (number, field) in fields(bytes)? {
            let (ENVOY_GRPC, Some(inner)) = (number, field) else { continue };
            let (mut cluster, mut authority) = (String::new(), String::new());
            for (number, field) in fields(inner)? {
                let text = || String::from_utf8(field?.to_vec()).ok();
                match number {
                    CLUSTER_NAME => cluster = text()?,
                    AUTHORITY => authority = text()?,
                    _ => {}
                }
            }
            found = Self::Envoy { cluster, authority };
        }
        Some(found)
    }
}

/// A field of a message: its number, and its bytes where it has a length.
type Field<'a> = (u64, Option<&'a [u8]>);

/// The fields of a message; `None` where the bytes are not one.
fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = tag >> 3;
        if number == 0 || number > (1 << 29) - 1 {
            return None;
        }
        let field = match tag & 7 {
            0 => varint(&mut rest).map(|_| None)?,
            1 => take(&mut rest, 8).map(|_| None)?,
            2 => {
                let size = usize::try_from(varint(&mut rest)?).ok()?;
                Some(take(&mut rest, size)?)
            }
            5 => take(&mut rest, 4).map(|_| None)?,
            _ => return None,
        };
        found.push((number, field));
    }
    Some(found)
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(size)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::GrpcService;

    #[test]
    fn a_name_of_istios_is_no_message() {
        for name in ["outbound|8081||opa.default.svc.cluster.local", "ext-authz", "opa"] {
            assert_eq!(GrpcService::read(name.as_bytes()), GrpcService::Name(name.to_owned()));
        }
    }

    #[test]
    fn the_cluster_and_the_authority_of_a_message_are_read() {
        let message = b"\x0a\x0d\x0a\x03opa\x12\x06opa.ns";
        let expected =
            GrpcService::Envoy { cluster: "opa".to_owned(), authority: "opa.ns".to_owned() };
        assert_eq!(GrpcService::read(message), expected);
        let only_cluster = b"\x0a\x05\x0a\x03opa";
        let expected = GrpcService::Envoy { cluster: "opa".to_owned(), authority: String::new() };
        assert_eq!(GrpcService::read(only_cluster), expected);
    }

    #[test]
    fn a_short_name_may_be_a_message_by_chance() {
        assert_eq!(GrpcService::read(b"ha"), GrpcService::NoTarget);
        assert_eq!(GrpcService::read(b""), GrpcService::NoTarget);
    }
}

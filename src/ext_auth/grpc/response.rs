//! `envoy.service.auth.v3.CheckResponse`.

use egress_cel::data::Data;

use crate::protobuf::header::HeaderOption;
use crate::protobuf::{Items, Malformed, Reader, value};

/// What an authorization service answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckResponse<'a> {
    /// The code of `status` (`google.rpc.Code`), of which 0 allows the request. `None` if there is
    /// no status, which in Protocol Buffers' terms is a status with code 0: Envoy allows then.
    pub code: Option<i64>,
    /// What goes with it.
    pub response: HttpResponse<'a>,
    /// The entries of `dynamic_metadata`; those of `ok_response` where it has some.
    pub metadata: Vec<(String, Data)>,
}

/// The `oneof` of a [`CheckResponse`]. A service may send one that does not fit to its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HttpResponse<'a> {
    /// Nothing.
    #[default]
    None,
    /// The caller's answer, if the request is denied.
    Denied(Reply<'a>),
    /// The changes of the request, if it is allowed.
    Ok(OkResponse<'a>),
    /// The service could not decide. It suggests this answer.
    Error(Reply<'a>),
}

/// An answer to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply<'a> {
    /// The status. 0, if there is none, stands for 403.
    pub status: u32,
    /// The headers.
    pub headers: Vec<HeaderOption<'a>>,
    /// The body.
    pub body: &'a str,
}

/// Changes of a request that is allowed, and of its response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OkResponse<'a> {
    /// Changes of the request's headers, which come after `headers_to_remove`.
    pub headers: Vec<HeaderOption<'a>>,
    /// Names of headers that the request loses.
    pub headers_to_remove: Vec<&'a str>,
    /// Changes of the response's headers.
    pub response_headers: Vec<HeaderOption<'a>>,
    /// Query parameters that are set: key and value, neither of them percent-encoded.
    pub query_to_set: Vec<(&'a str, &'a str)>,
    /// Keys of query parameters that are removed.
    pub query_to_remove: Vec<&'a str>,
}

impl<'a> CheckResponse<'a> {
    /// Reads the message.
    ///
    /// # Errors
    /// If it is malformed, or larger than [`MAX_ITEMS`](crate::protobuf::MAX_ITEMS) and
    /// [`MAX_VALUES`](value::MAX_VALUES) allow.
    pub fn decode(message: &'a [u8]) -> Result<Self, Malformed> {
        let (mut answer, mut of_ok, mut items) = (CheckResponse::default(), None, Items::new());
        let mut message = Reader::new(message);
        while let Some(field) = message.field()? {
            match field.number {
                1 => {
                    let code = answer.code.get_or_insert(0);
                    merge_status(code, field.message()?)?;
                }
                2 | 5 => {
                    // A message that comes in parts is their sum, unless another kind comes
                    // between.
                    let mut reply = match (std::mem::take(&mut answer.response), field.number) {
                        (HttpResponse::Denied(reply), 2) | (HttpResponse::Error(reply), 5) => reply,
                        _ => Reply::default(),
                    };
                    reply.merge(field.message()?, &mut items)?;
                    of_ok = None;
                    answer.response = if field.number == 2 {
                        HttpResponse::Denied(reply)
                    } else {
                        HttpResponse::Error(reply)
                    };
                }
                3 => {
                    let mut ok = match std::mem::take(&mut answer.response) {
                        HttpResponse::Ok(ok) => ok,
                        _ => OkResponse::default(),
                    };
                    ok.merge(field.message()?, &mut items, &mut of_ok)?;
                    answer.response = HttpResponse::Ok(ok);
                }
                4 => value::merge(&mut answer.metadata, field.message()?)?,
                _ => {}
            }
        }
        if let Some(metadata) = of_ok {
            answer.metadata = metadata;
        }
        Ok(answer)
    }
}

fn merge_status(code: &mut i64, mut message: Reader<'_>) -> Result<(), Malformed> {
    while let Some(field) = message.field()? {
        if field.number == 1 {
            *code = field.int64()?;
        }
    }
    Ok(())
}

impl<'a> Reply<'a> {
    fn merge(&mut self, mut message: Reader<'a>, items: &mut Items) -> Result<(), Malformed> {
        while let Some(field) = message.field()? {
            match field.number {
                1 => {
                    let mut status = field.message()?;
                    while let Some(field) = status.field()? {
                        if field.number == 1 {
                            self.status = field.uint32()?;
                        }
                    }
                }
                2 => push_option(&mut self.headers, field.message()?, items)?,
                3 => self.body = field.text()?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> OkResponse<'a> {
    fn merge(
        &mut self,
        mut message: Reader<'a>,
        items: &mut Items,
        metadata: &mut Option<Vec<(String, Data)>>,
    ) -> Result<(), Malformed> {
        while let Some(field) = message.field()? {
            match field.number {
                2 => push_option(&mut self.headers, field.message()?, items)?,
                3 => value::merge(metadata.get_or_insert_default(), field.message()?)?,
                5 => push_name(&mut self.headers_to_remove, field.text()?, items)?,
                6 => push_option(&mut self.response_headers, field.message()?, items)?,
                7 => {
                    items.count()?;
                    let (mut key, mut value) = ("", "");
                    let mut parameter = field.message()?;
                    while let Some(field) = parameter.field()? {
                        match field.number {
                            1 => key = field.text()?,
                            2 => value = field.text()?,
                            _ => {}
                        }
                    }
                    self.query_to_set.push((key, value));
                }
                8 => push_name(&mut self.query_to_remove, field.text()?, items)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[inline(never)]
fn push_option<'a>(
    options: &mut Vec<HeaderOption<'a>>,
    message: Reader<'a>,
    items: &mut Items,
) -> Result<(), Malformed> {
    items.count()?;
    options.push(HeaderOption::read(message)?);
    Ok(())
}

#[inline(never)]
fn push_name<'a>(
    names: &mut Vec<&'a str>,
    name: &'a str,
    items: &mut Items,
) -> Result<(), Malformed> {
    items.count()?;
    names.push(name);
    Ok(())
}

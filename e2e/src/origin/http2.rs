//! The origin over HTTP/2, with trailers both ways.

use std::sync::PoisonError;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Log, Mode, Received, SharedScript, answers};
use crate::http1::Headers;

/// What a connection's client asked for and showed: the server name, and its certificate.
type Tls = (Option<String>, Option<CertificateDer<'static>>);

/// Serves one connection; a client that goes away ends it without a word.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    tls: Tls,
    mode: Mode,
    log: Log,
    script: SharedScript,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (tls, log, script) = (tls.clone(), log.clone(), script.clone());
        tokio::spawn(async move {
            let received = receive(request, tls).await;
            let script = script.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let answer = answers::answer(mode, &received, &script);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(received);
            // The client may be gone.
            let _ = send(respond, answer, &script.trailers);
        });
    }
}

/// Reads a request to its end, or as far as it comes.
async fn receive(request: Request<RecvStream>, (sni, client_certificate): Tls) -> Received {
    let (head, mut body) = request.into_parts();
    let mut body_length = 0;
    while let Some(Ok(data)) = body.data().await {
        body_length += data.len();
        let _ = body.flow_control().release_capacity(data.len());
    }
    let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    Received {
        method: head.method.to_string(),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        host: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
        sni,
        client_certificate,
        headers: lines(&head.headers),
        body_length,
        trailers: lines(&trailers),
    }
}

fn lines(headers: &HeaderMap) -> Headers {
    Headers(
        headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
    )
}

fn map(lines: &[(String, String)]) -> HeaderMap {
    let line = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a script's names are legal");
        (name, HeaderValue::from_bytes(value.as_bytes()).expect("a script's values are legal"))
    };
    lines.iter().map(line).collect()
}

fn send(
    mut respond: SendResponse<Bytes>,
    answer: answers::Answer,
    trailers: &[(String, String)],
) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    *head.status_mut() =
        http::StatusCode::from_u16(answer.status).expect("a script's status is one");
    *head.headers_mut() = map(&answer.headers);
    let mut body = respond.send_response(head, false)?;
    body.send_data(answer.body.into(), trailers.is_empty())?;
    if trailers.is_empty() { Ok(()) } else { body.send_trailers(map(trailers)) }
}

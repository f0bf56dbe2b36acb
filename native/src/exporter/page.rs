//! What the endpoint answers.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::{families, text};
use crate::flow::view::View;

const PLAIN: &str = "text/plain; charset=utf-8";

/// The answer to a request. Its body, if any, is never read.
pub fn answer<B>(request: &Request<B>, view: &View) -> Response<Full<Bytes>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/" if !reads => {
            let mut page = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET or HEAD, nothing else\n".to_owned());
            page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            page
        }
        "/metrics" => match text::encode(&families::collect(view)) {
            Ok(metrics) => page(StatusCode::OK, text::CONTENT_TYPE, metrics),
            Err(problem) => page(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{problem}\n")),
        },
        "/" => page(StatusCode::OK, PLAIN, "emq_plugin_kafka: the metrics are at /metrics\n".to_owned()),
        _ => page(StatusCode::NOT_FOUND, PLAIN, "nothing here; the metrics are at /metrics\n".to_owned()),
    }
}

fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(body)));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    page
}

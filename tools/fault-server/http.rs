//! Requests and responses in bytes, and dates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of a head.
pub const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// The longest accepted head, in bytes.
pub const MAX_HEAD: usize = 64 * 1024;

/// A request's head.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: String,
    /// The target in the request line.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The length of the request line, with its line end.
    pub line_length: usize,
    /// The length of the head, with the blank line.
    pub length: usize,
    /// The stated length of the body.
    pub body_length: usize,
}

impl Head {
    /// Reads the head at the beginning of `bytes`, if it is complete. A client of the Channels API must not send an erroneous one.
    pub fn parse(bytes: &[u8]) -> Option<Result<Head, String>> {
        let head = Head::parse_any(bytes)?;
        Some(head.and_then(|head| {
            let count = |wanted: &str| head.headers.iter().filter(|(name, _)| name == wanted).count();
            if count("host") != 1 || count("transfer-encoding") != 0 {
                return Err("not one Host, or a Transfer-Encoding".to_owned());
            }
            match (head.method.as_str(), count("content-length")) {
                // A request without a body has no Content-Length: some servers take "0" for a body.
                ("GET" | "DELETE" | "CONNECT", 0) | ("POST", 1) => Ok(head),
                _ => Err("not one Content-Length on a POST, or one on a GET or DELETE".to_owned()),
            }
        }))
    }

    /// Like `head`, for any method.
    pub fn parse_any(bytes: &[u8]) -> Option<Result<Head, String>> {
        match find(bytes, BLANK_LINE) {
            Some(end) => Some(Head::parse_whole(&bytes[..end])),
            None if bytes.len() > MAX_HEAD => Some(Err("the head is too long".to_owned())),
            None => None,
        }
    }

    fn parse_whole(bytes: &[u8]) -> Result<Head, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the head is not UTF-8")?;
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err("not a request line of HTTP/1.1".to_owned());
        };
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.map(header).collect::<Result<_, &str>>()?;
        let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
        let body_length = length.transpose().map_err(|_| "a Content-Length that is no number")?.unwrap_or(0);
        Ok(Head {
            method: method.to_owned(),
            target: target.to_owned(),
            line_length: line.len() + 2,
            length: bytes.len() + BLANK_LINE.len(),
            body_length,
            headers,
        })
    }

    /// Returns the length of the whole request.
    pub fn whole_length(&self) -> usize {
        self.length + self.body_length
    }

    /// Returns the path, also of the absolute form, or the authority of a CONNECT.
    pub fn path(&self) -> &str {
        self.path_and_query().0
    }

    /// The query.
    pub fn query(&self) -> &str {
        self.path_and_query().1
    }

    /// Path and query.
    pub fn origin_form(&self) -> &str {
        match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => &self.target,
        }
    }

    fn path_and_query(&self) -> (&str, &str) {
        self.origin_form().split_once('?').unwrap_or((self.origin_form(), ""))
    }
}

/// A complete request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

/// Returns a response with these header lines and the right length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Returns a response with JSON.
pub fn json_answer(status: u16, body: &str) -> Vec<u8> {
    answer(status, &[("Content-Type", "application/json")], body)
}

/// Encodes a string for a URL.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns the reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Because",
    }
}

/// Returns the lengths of the first line, the head, and the whole of a response.
pub fn lengths(answer: &[u8]) -> (usize, usize, usize) {
    let after = |mark: &[u8]| find(answer, mark).map_or(answer.len(), |at| at + mark.len());
    (after(b"\r\n"), after(BLANK_LINE), answer.len())
}

/// Returns the position of `needle`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Formats seconds since 1970 as an HTTP date. (RFC 9110, 5.6.7)
pub fn date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last. (Howard Hinnant's civil_from_days)
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let (weekday, month) = (DAYS[days.rem_euclid(7) as usize], MONTHS[month as usize]);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

//! Signs requests: the string to sign, its HMAC, and the query that carries it. Time is an
//! argument.
//!
//! Source: Channels HTTP API reference, "Generating authentication signatures".

use std::borrow::Cow;
use std::fmt;
use std::hint::black_box;
use std::slice;

use ctutils::CtEq;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use sha2::block_api::{Sha256VarCore, compress256};
use sha2::digest::array::Array;
use sha2::digest::block_api::Buffer;
use zeroize::{Zeroize, Zeroizing};

use crate::bytes::copied_text;
use crate::decimal::Digits;
use crate::error::{Error, OutOfMemory};
use crate::secret::Secret;
use crate::time_limit::{TimeIsUp, TimeLimit};

/// The characters that a query value encodes: all except RFC 3986's unreserved ones.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The number of hex digits of an MD5.
const MD5_DIGITS: usize = 32;

/// The number of hex digits of a signature.
pub const SIGNATURE_DIGITS: usize = 64;

/// The size of SHA-256's blocks, in bytes.
const BLOCK_BYTES: usize = 64;

/// The most bytes of a message that the last block has room for, beside a byte of padding and the size.
const MAX_LAST_BYTES: usize = BLOCK_BYTES - 1 - size_of::<u64>();

/// A state of SHA-256 between two blocks.
type State = [u32; 8];

/// The state that SHA-256 begins with. (FIPS 180-4, section 5.3.3)
const INITIAL_STATE: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// HMAC-SHA256 (RFC 2104) with one key: the states after the block that each of its two hashes begins
/// with. They are as secret as the key.
///
/// The crate `hmac` clones and wipes its states and its buffers for each message, which takes half as
/// long as a compression. Here a compression overwrites the copy of a state.
///
/// It is made in its place on the heap, so that moving it leaves no copies.
struct Hmac {
    inner: State,
    outer: State,
}

impl Hmac {
    fn new(key: &[u8]) -> Box<Hmac> {
        let mut hmac = Box::new(Hmac { inner: INITIAL_STATE, outer: INITIAL_STATE });
        hmac.take_key(key);
        wipe_traces();
        hmac
    }

    #[inline(never)]
    fn take_key(&mut self, key: &[u8]) {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        for (state, pad) in [(&mut self.inner, 0x36), (&mut self.outer, 0x36 ^ 0x5c)] {
            block.iter_mut().for_each(|byte| *byte ^= pad);
            compress256(state, slice::from_ref(&*block));
        }
    }

    /// Returns the code of a message in parts.
    #[inline]
    fn code<const N: usize>(&self, parts: [&[u8]; N]) -> [u8; 32] {
        finish_hash(self.outer, [&finish_hash(self.inner, parts)])
    }
}

impl Drop for Hmac {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
        wipe_traces();
    }
}

/// Wipes what compressions have left in registers and on the stack below the caller: copies of states and of the key.
///
/// Others save registers to memory: the dynamic linker when it looks up a function, and the kernel at a signal.
#[inline(never)]
fn wipe_traces() {
    let (mut state, block) = (INITIAL_STATE, [0; BLOCK_BYTES]);
    compress256(&mut state, black_box(slice::from_ref(&block)));
    black_box(&state);
    wipe_stack();
}

#[inline(never)]
fn wipe_stack() {
    const BYTES: usize = 8192;
    black_box(&mut [0_u8; BYTES]).zeroize();
}

/// Returns the hash of a message in parts that follows one block, after which SHA-256 is in `state`.
#[inline]
fn finish_hash<const N: usize>(mut state: State, parts: [&[u8]; N]) -> [u8; 32] {
    let size = parts.iter().map(|part| part.len()).sum::<usize>();
    let bits = 8 * (BLOCK_BYTES + size) as u64;
    if size <= MAX_LAST_BYTES {
        // The usual message, and that of each outer hash: one block, with its padding.
        let mut block = [0; BLOCK_BYTES];
        let mut end = 0;
        for part in parts {
            block[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        block[end] = 0x80;
        block[BLOCK_BYTES - size_of::<u64>()..].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut state, slice::from_ref(&block));
    } else {
        let mut buffer = Buffer::<Sha256VarCore>::default();
        for part in parts {
            buffer.digest_blocks(part, |blocks| compress256(&mut state, Array::cast_slice_to_core(blocks)));
        }
        buffer.len64_padding_be(bits, |block| compress256(&mut state, slice::from_ref(&block.0)));
    }
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(size_of::<u32>()).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// Signs with one application's key. It keeps hash states made with the secret, not the secret.
pub struct Signer {
    key: String,
    hmac: Box<Hmac>,
}

/// A request to sign.
pub struct Unsigned<'a> {
    /// The method.
    pub method: &'a str,
    /// The beginning of the path, as it is sent.
    pub base: &'a str,
    /// The beginning of the path, as it is signed.
    pub signed_base: &'a str,
    /// The rest of the path.
    pub path: &'a str,
    /// The call's query parameters, not encoded. Their names are lower case.
    pub parameters: &'a [(Cow<'static, str>, String)],
    /// The body.
    pub body: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// A signed request.
pub struct Signed {
    /// `/path?auth_key=…&…&auth_signature=…`, encoded for a URL.
    pub target: String,
    /// The signature in it, in lower-case hex. It must never be shown.
    pub signature: String,
}

impl Signer {
    /// Returns a signer for an application.
    pub fn new(key: impl Into<String>, secret: &Secret) -> Signer {
        Signer { key: key.into(), hmac: Hmac::new(secret.expose()) }
    }

    /// Returns the application's key, which is public.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the lower-case hex HMAC-SHA256 of a message in parts.
    pub fn sign_parts<const N: usize>(&self, parts: [&str; N]) -> [u8; SIGNATURE_DIGITS] {
        let mut text = [0; SIGNATURE_DIGITS];
        write_hex(&self.hmac.code(parts.map(str::as_bytes)), &mut text);
        text
    }

    /// Returns the lower-case hex HMAC-SHA256 of a message.
    #[cfg(test)]
    pub fn sign(&self, message: &[u8]) -> String {
        hex_string(&self.hmac.code([message]))
    }

    /// Returns whether `signature`, in hex, is the signature of a message. Takes the same time
    /// wherever they differ.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        read_hex(signature).is_some_and(|code| self.hmac.code([message]).ct_eq(&code).to_bool())
    }

    /// Signs a request. Hashing its body stops at a time limit.
    pub fn sign_request(&self, request: &Unsigned<'_>, limit: TimeLimit) -> Result<Signed, Error> {
        let Unsigned { method, base, signed_base, path, parameters, body, timestamp } = *request;
        let timestamp = Digits::of(timestamp);
        let body_md5 = body.map(|body| md5(body, limit)).transpose()?;
        let own = [("auth_key", &*self.key), ("auth_timestamp", timestamp.as_str()), ("auth_version", "1.0")];
        let pairs = own
            .into_iter()
            .chain(body_md5.as_ref().map(|md5| ("body_md5", ascii(md5))))
            .chain(parameters.iter().map(|(name, value)| (name.as_ref(), value.as_str())));
        let mut all: Vec<(&str, &str)> = Vec::new();
        // Each of the three knows its length.
        all.try_reserve_exact(pairs.size_hint().0).map_err(|_| OutOfMemory)?;
        all.extend(pairs);
        let text = string_to_sign(method, [signed_base, path], &mut all)?;
        let signature = copied_text(ascii(&self.sign_parts([&text])))?;

        let signed_query = &text[method.len() + signed_base.len() + path.len() + 2..];
        let encoded = |value| utf8_percent_encode(value, QUERY_VALUE);
        let query_bytes = match parameters.is_empty() {
            true => signed_query.len(),
            false => all.iter().map(|(name, value)| name.len() + 2 + encoded(value).map(str::len).sum::<usize>()).sum(),
        };
        let mut target = String::new();
        let size = base.len() + path.len() + query_bytes + SIGNATURE.len() + signature.len() + 1;
        target.try_reserve_exact(size).map_err(|_| OutOfMemory)?;
        target.extend([base, path, "?"]);
        if parameters.is_empty() {
            // The values of all other parameters are encoded as they are.
            target.push_str(signed_query);
        } else {
            for (index, (name, value)) in all.into_iter().enumerate() {
                target.extend([if index > 0 { "&" } else { "" }, name, "="]);
                target.extend(encoded(value));
            }
        }
        target.extend([SIGNATURE, &signature]);
        Ok(Signed { target, signature })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The beginning of the last parameter.
const SIGNATURE: &str = "&auth_signature=";

/// Returns `METHOD\nPATH\nQUERY`, with the query sorted by the bytes of its keys and its values not
/// encoded. The keys must be in lower case.
fn string_to_sign(method: &str, path: [&str; 2], parameters: &mut [(&str, &str)]) -> Result<String, OutOfMemory> {
    // Few parameters, mostly in order: the sort of std takes 10 KB of code.
    for end in 1..parameters.len() {
        if parameters[end - 1].0 <= parameters[end].0 {
            continue;
        }
        let at = parameters[..end].partition_point(|(before, _)| *before <= parameters[end].0);
        parameters[at..=end].rotate_right(1);
    }
    let size: usize = parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut text = String::new();
    text.try_reserve_exact(method.len() + path[0].len() + path[1].len() + size + 2).map_err(|_| OutOfMemory)?;
    text.extend([method, "\n", path[0], path[1], "\n"]);
    for (index, (name, value)) in parameters.iter().enumerate() {
        text.extend([if index > 0 { "&" } else { "" }, name, "=", value]);
    }
    Ok(text)
}

/// Redacts the queries of signed URLs in a message. Such a query is as good as the secret until its
/// timestamp is too old.
pub fn redact_query(message: String) -> String {
    const KEY: &str = "auth_key=";
    if !message.contains(KEY) {
        return message;
    }
    let mut redacted = String::new();
    // A caller decides its length. A piece is never longer than what it takes the place of.
    if redacted.try_reserve_exact(message.len()).is_err() {
        return "the transport failed".to_owned();
    }
    let mut pieces = message.split(KEY);
    redacted.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | ')')).unwrap_or(piece.len());
        redacted.push('…');
        redacted.push_str(&piece[end..]);
    }
    redacted
}

/// Returns the lower-case hex MD5 of a body.
fn md5(body: &[u8], limit: TimeLimit) -> Result<[u8; MD5_DIGITS], TimeIsUp> {
    let mut hash = Md5::new();
    for piece in limit.pieces(body) {
        hash.update(piece?);
    }
    let mut text = [0; MD5_DIGITS];
    write_hex(&hash.finalize(), &mut text);
    Ok(text)
}

#[cfg(test)]
fn hex_string(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns digits as a string.
fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Writes `bytes` in lower-case hex to `text`, which has twice their length.
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    // Fails only if the lengths do not match.
    let _ = const_hex::encode_to_slice(bytes, text);
}

/// Reads 32 bytes in hex of any case.
fn read_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // The length is checked because const_hex skips a prefix 0x.
    (text.len() == SIGNATURE_DIGITS && const_hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;
    use crate::time_limit::PIECE_BYTES;

    /// Vectors that do not apply to this signer.
    const DIFFERENT: [(&str, &str); 3] = [
        ("python-get-sig", "signs the MD5 of no body on a GET, which a real server refuses"),
        ("java-stringToSign-2", "leaves keys in upper case, against the documentation"),
        ("php-array-implode", "leaves keys in upper case, against the documentation"),
    ];

    fn vectors() -> Vec<Value> {
        let all: Vec<Value> = serde_json::from_str(include_str!("../tests/vectors/peers.json")).unwrap();
        all.into_iter().filter(|vector| DIFFERENT.iter().all(|(id, _)| vector["id"] != *id)).collect()
    }

    fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
        vector["inputs"][name].as_str().unwrap_or_else(|| panic!("{} has no {name}", vector["id"]))
    }

    /// Returns the parameters with their keys in lower case, as the documentation requires. (Calls
    /// refuse other keys, so the signer does not convert them.)
    fn parameters(vector: &Value) -> Vec<(Cow<'static, str>, String)> {
        let pairs = vector["inputs"]["params"].as_object().unwrap();
        pairs.iter().map(|(name, value)| (name.to_lowercase().into(), value.as_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn signs_like_the_official_libraries() {
        let mut seen = BTreeMap::<String, u32>::new();
        for vector in vectors() {
            let kind = vector["kind"].as_str().unwrap();
            let (id, expected) = (&vector["id"], &vector["expected"]);
            match kind {
                "request_signature" => {
                    let signer = Signer::new(text(&vector, "key"), &Secret::new(text(&vector, "secret").to_owned()));
                    let body = vector["inputs"]["body"].as_str().map(str::as_bytes);
                    let timestamp = vector["inputs"]["timestamp"].as_u64().unwrap();
                    let (method, path) = (text(&vector, "method"), text(&vector, "path"));
                    let parameters = parameters(&vector);
                    let request =
                        Unsigned { method, base: "", signed_base: "", path, parameters: &parameters, body, timestamp };
                    let signed = signer.sign_request(&request, TimeLimit::NONE).unwrap();
                    assert_eq!(signed.signature, expected["auth_signature"].as_str().unwrap(), "{id}");
                    if let Some(string) = expected["string_to_sign"].as_str() {
                        assert_eq!(signer.sign(string.as_bytes()), signed.signature, "{id}");
                    }
                }
                "query_string_to_sign" => {
                    let owned = parameters(&vector);
                    let mut pairs: Vec<_> = owned.iter().map(|(n, v)| (n.as_ref(), v.as_str())).collect();
                    let signed = string_to_sign("POST", ["", "/"], &mut pairs);
                    let expected = expected["string"].as_str().unwrap();
                    assert_eq!(
                        signed.unwrap().trim_start_matches("POST\n/\n"),
                        expected.trim_start_matches("POST\n/\n"),
                        "{id}"
                    );
                }
                "hmac_sha256_hex" => {
                    let signer = Signer::new("", &Secret::new(text(&vector, "secret").to_owned()));
                    assert_eq!(
                        signer.sign(text(&vector, "message").as_bytes()),
                        expected["hex"].as_str().unwrap(),
                        "{id}"
                    );
                }
                "md5_hex" | "request_body_md5" => {
                    let (input, output) = if kind == "md5_hex" { ("data", "hex") } else { ("body", "body_md5") };
                    assert_eq!(
                        hex_string(&Md5::digest(text(&vector, input))),
                        expected[output].as_str().unwrap(),
                        "{id}"
                    );
                }
                _ => continue,
            }
            *seen.entry(kind.to_owned()).or_default() += 1;
        }
        let expected = [
            ("hmac_sha256_hex", 14),
            ("md5_hex", 3),
            ("query_string_to_sign", 3),
            ("request_body_md5", 10),
            ("request_signature", 14),
        ];
        assert_eq!(seen, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    }

    /// Reads a file of vectors. scripts/torture/vectors.sh has others, with faults, which must be found.
    fn published(name: &str) -> String {
        let folder =
            std::env::var("VECTORS").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors").to_owned());
        std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
    }

    /// Returns the vectors of a file of NIST's form: the names and values between two empty lines.
    fn records(file: &str) -> Vec<BTreeMap<&str, &str>> {
        let records = file.split("\n\n").map(|lines| {
            lines
                .lines()
                .filter(|line| !line.starts_with(['#', '[']))
                .filter_map(|line| line.split_once(" = "))
                .collect()
        });
        records.filter(|record: &BTreeMap<&str, &str>| !record.is_empty()).collect()
    }

    fn bytes(text: &str) -> Vec<u8> {
        let mut bytes = vec![0; text.len() / 2];
        const_hex::decode_to_slice(text, &mut bytes).unwrap();
        bytes
    }

    /// Returns the message of a vector, whose length is given in bits.
    fn message(record: &BTreeMap<&str, &str>) -> Vec<u8> {
        let mut message = bytes(record["Msg"]);
        message.truncate(record["Len"].parse::<usize>().unwrap() / 8);
        message
    }

    #[test]
    fn verifies_what_wycheproof_calls_valid() {
        let file: Value = serde_json::from_str(&published("wycheproof-hmac-sha256.json")).unwrap();
        let mut count = 0;
        for group in file["testGroups"].as_array().unwrap() {
            for vector in group["tests"].as_array().unwrap() {
                let bytes = |name: &str| bytes(vector[name].as_str().unwrap());
                let signer = Signer { key: String::new(), hmac: Hmac::new(&bytes("key")) };
                let (message, tag) = (bytes("msg"), bytes("tag"));
                // Signatures are whole: a valid code of half the length is refused.
                let is_valid = vector["result"] == "valid" && group["tagSize"] == 256;
                assert_eq!(signer.verifies(&message, &hex_string(&tag)), is_valid, "{vector}");
                let code = signer.hmac.code([&message]);
                assert_eq!(code.starts_with(&tag), vector["result"] == "valid", "{vector}");
                for at in [0, message.len() / 3, message.len()] {
                    let (before, after) = message.split_at(at);
                    assert_eq!(signer.hmac.code([before, after]), code, "{vector} in parts");
                }
                // A vector of which one bit is another is found.
                let mut other = code;
                other[count % 32] ^= 1 << (count % 8);
                assert!(!signer.verifies(&message, &hex_string(&other)), "{vector}");
                count += 1;
            }
        }
        assert_eq!(count, 174);
    }

    #[test]
    fn agrees_with_the_vectors_of_rfc_4231_and_rfc_1321() {
        let files = ["rfc4231-hmac-sha256.txt", "rfc1321-md5.txt"].map(published);
        let vectors = records(&files[0]);
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            assert_eq!(hex_string(&Hmac::new(&bytes(vector["Key"])).code([&message(&vector)])), vector["MD"]);
        }
        let vectors = records(&files[1]);
        assert_eq!(vectors.len(), 7);
        for vector in vectors {
            assert_eq!(ascii(&md5(&message(&vector), TimeLimit::NONE).unwrap()), vector["MD"]);
        }
    }

    #[test]
    fn agrees_with_the_vectors_of_nist_for_sha_256() {
        let files = ["nist-sha256-shortmsg.rsp", "nist-sha256-longmsg.rsp", "nist-sha256-monte.rsp"].map(published);
        let [short, long, monte] = files.each_ref().map(|file| records(file));
        assert_eq!((short.len(), long.len()), (65, 64));
        for vector in short.iter().chain(&long) {
            let message = message(vector);
            assert_eq!(hex_string(&Sha256::digest(&message)), vector["MD"]);
            // The part of HMAC: what follows a first block.
            if let Some((first, rest)) = message.split_first_chunk::<BLOCK_BYTES>() {
                let mut state = INITIAL_STATE;
                compress256(&mut state, slice::from_ref(first));
                assert_eq!(hex_string(&finish_hash(state, [rest])), vector["MD"]);
            }
        }
        let mut monte = monte.into_iter();
        let mut seed = bytes(monte.next().unwrap()["Seed"]);
        for vector in monte.by_ref() {
            let mut last = [seed.clone(), seed.clone(), seed];
            for _ in 0..1000 {
                let next = Sha256::digest(last.concat()).to_vec();
                last.rotate_left(1);
                last[2] = next;
            }
            [_, _, seed] = last;
            assert_eq!(hex_string(&seed), vector["MD"], "{}", vector["COUNT"]);
        }
    }

    fn get<'a>(path: &'a str, parameters: &'a [(Cow<'static, str>, String)]) -> Unsigned<'a> {
        Unsigned { method: "GET", base: "/p/a", signed_base: "/a", path, parameters, body: None, timestamp: 1 }
    }

    #[test]
    fn query_values_are_signed_raw_and_sent_encoded() {
        let signer = Signer::new("k", &Secret::new("s".to_owned()));
        let parameters = [("filter".into(), "a b&c=d,ä".to_owned())];
        let Signed { target, signature } = signer.sign_request(&get("/x", &parameters), TimeLimit::NONE).unwrap();
        assert_eq!(
            target,
            format!(
                "/p/a/x?auth_key=k&auth_timestamp=1&auth_version=1.0&filter=a%20b%26c%3Dd%2C%C3%A4\
                 &auth_signature={signature}"
            )
        );
        let string = "GET\n/a/x\nauth_key=k&auth_timestamp=1&auth_version=1.0&filter=a b&c=d,ä";
        assert_eq!(signature, signer.sign(string.as_bytes()));
    }

    #[test]
    fn a_target_is_allocated_once() {
        let signer = Signer::new("k", &Secret::new("s".to_owned()));
        let md5 = "&body_md5=d41d8cd98f00b204e9800998ecf8427e";
        for (body, more) in [(None, ""), (Some(&b""[..]), md5)] {
            let request = Unsigned { body, ..get("/x", &[]) };
            let Signed { target, signature } = signer.sign_request(&request, TimeLimit::NONE).unwrap();
            let expected = format!("/p/a/x?auth_key=k&auth_timestamp=1&auth_version=1.0{more}&auth_signature=");
            assert_eq!(target, format!("{expected}{signature}"));
            assert_eq!(target.capacity(), target.len());
        }
        let parameters = [("a".into(), "b c".to_owned()), ("longer".into(), "a longer value".to_owned())];
        let target = signer.sign_request(&get("/x", &parameters), TimeLimit::NONE).unwrap().target;
        assert!(target.contains("?a=b%20c&auth_key=k"), "{target}");
        // Each parameter has room for a separator, which the first does not need.
        assert_eq!(target.capacity(), target.len() + 1);
    }

    #[test]
    fn a_string_to_sign_is_allocated_once() {
        let text = string_to_sign("DELETE", ["/apps/1", "/connections"], &mut [("b", "longer"), ("a", "1"), ("c", "")])
            .unwrap();
        assert_eq!(text, "DELETE\n/apps/1/connections\na=1&b=longer&c=");
        // Each parameter has room for a separator, which one of them does not need.
        assert_eq!(text.capacity(), text.len() + 1);
    }

    #[test]
    fn signatures_are_64_hex_digits_in_any_case() {
        let signer = Signer::new("k", &Secret::new("s".to_owned()));
        let right = signer.sign(b"message");
        assert!(signer.verifies(b"message", &right) && signer.verifies(b"message", &right.to_uppercase()));
        for at in 0..right.len() {
            for wrong in ["/", ":", "@", "G", "`", "g", "\u{10}", "\u{7f}"] {
                let mut text = right.clone();
                text.replace_range(at..=at, wrong);
                assert!(!signer.verifies(b"message", &text), "{text}");
            }
            let mut text = right.clone();
            text.replace_range(at..=at, if right.as_bytes()[at] == b'0' { "1" } else { "0" });
            assert!(!signer.verifies(b"message", &text), "{text}");
        }
        for wrong in [
            "",
            &right[1..],
            &format!("{right}0"),
            &format!(" {}", &right[1..]),
            &format!("0x{right}"),
            &format!("0x{}", &right[2..]),
        ] {
            assert!(!signer.verifies(b"message", wrong), "{wrong}");
        }
        for byte in 0..=255 {
            let mut text = [0; 64];
            write_hex(&[byte; 32], &mut text);
            assert_eq!(text, *format!("{byte:02x}").repeat(32).as_bytes());
            assert_eq!(read_hex(std::str::from_utf8(&text).unwrap()), Some([byte; 32]));
        }
    }

    #[test]
    fn hashing_a_large_body_stops_at_the_time_limit() {
        let signer = Signer::new("k", &Secret::new("s".to_owned()));
        let body = vec![b' '; 3 * PIECE_BYTES];
        let request = Unsigned { body: Some(&body), ..get("/x", &[]) };
        let query = |limit| signer.sign_request(&request, limit).map(|signed| signed.target);
        assert_eq!(query(TimeLimit::after_looks(1)), Err(TimeIsUp.into()));
        let whole = query(TimeLimit::after_looks(2)).unwrap();
        assert!(whole.contains(&hex_string(&Md5::digest(&body))), "{whole}");
    }

    #[test]
    fn debug_output_hides_the_keyed_state() {
        let signer = Signer::new("key", &Secret::new("s3cr3t".to_owned()));
        assert_eq!(format!("{signer:?}"), r#"Signer { key: "key", .. }"#);
    }

    #[test]
    fn the_query_of_each_signed_url_in_a_message_is_redacted() {
        for (message, expected) in [
            ("no URL", "no URL"),
            ("", ""),
            ("auth_key=k&auth_signature=s", "…"),
            ("GET http://a/b?auth_key=k&auth_signature=s failed", "GET http://a/b?… failed"),
            (
                "\"/b?auth_key=k\" and '/c?x=1&auth_key=k' (/d?auth_key=k) </e?auth_key=k>\n",
                "\"/b?…\" and '/c?x=1&…' (/d?…) </e?…>\n",
            ),
        ] {
            assert_eq!(redact_query(message.to_owned()), expected);
        }
    }

    #[test]
    fn the_code_of_a_message_of_any_size_is_that_of_another_implementation() {
        let bytes: Vec<u8> = (0..300).map(|byte| byte as u8).collect();
        for key_size in [0, 1, 20, 63, 64, 65, 200] {
            let key = &bytes[..key_size];
            let (hmac, other) = (Hmac::new(key), ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key));
            for size in 0..bytes.len() {
                let (message, halves) = (&bytes[..size], bytes[..size].split_at(size / 2));
                let expected = ring::hmac::sign(&other, message);
                assert_eq!(hmac.code([message]), expected.as_ref(), "{size} bytes");
                assert_eq!(hmac.code([halves.0, halves.1]), expected.as_ref(), "{size} bytes in halves");
            }
        }
    }
}

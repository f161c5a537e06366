//! NaCl's secretbox (XSalsa20-Poly1305), written from its papers and not with the crates that `src/` uses.
//!
//! For tests only: it is slow, and not constant-time.

use std::array;

use ring::digest;

use super::calls;

/// The key of an encrypted channel: the SHA-256 of its name and the master key.
pub fn channel_key(channel: &str, master_key: &[u8]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(channel.as_bytes());
    hash.update(master_key);
    hash.finish().as_ref().try_into().unwrap()
}

/// Decrypts an event's data, `{"nonce","ciphertext"}`, as a subscriber of its channel does.
pub fn decrypted(channel: &str, master_key: &[u8], data: &str) -> Option<String> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    assert_eq!(data.as_object()?.len(), 2, "{data}");
    let bytes = |name: &str| Some(calls::base64_decoded(data[name].as_str()?));
    let nonce: [u8; 24] = bytes("nonce")?.try_into().ok()?;
    let plain = open(&channel_key(channel, master_key), &nonce, &bytes("ciphertext")?)?;
    Some(String::from_utf8(plain).unwrap())
}

/// Encrypts an event's data for the subscribers of its channel.
pub fn encrypted(channel: &str, master_key: &[u8], nonce: &[u8; 24], plain: &[u8]) -> String {
    let sealed = seal(&channel_key(channel, master_key), nonce, plain);
    let [nonce, sealed] = [calls::base64(nonce), calls::base64(&sealed)];
    format!(r#"{{"nonce":"{nonce}","ciphertext":"{sealed}"}}"#)
}

/// Returns the tag, followed by the ciphertext.
pub fn seal(key: &[u8; 32], nonce: &[u8; 24], plain: &[u8]) -> Vec<u8> {
    let stream = xsalsa20(key, nonce, 32 + plain.len());
    let cipher: Vec<u8> = plain.iter().zip(&stream[32..]).map(|(a, b)| a ^ b).collect();
    [poly1305(stream[..32].try_into().unwrap(), &cipher).to_vec(), cipher].concat()
}

/// Decrypts a sealed message; `None` if it was changed or the key is wrong.
pub fn open(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let (tag, cipher) = sealed.split_at_checked(16)?;
    let stream = xsalsa20(key, nonce, 32 + cipher.len());
    let good = poly1305(stream[..32].try_into().unwrap(), cipher) == tag;
    good.then(|| cipher.iter().zip(&stream[32..]).map(|(a, b)| a ^ b).collect())
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    array::from_fn(|i| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap()))
}

/// Salsa20's matrix for a key and 16 bytes of input.
fn matrix(key: &[u8; 32], input: [u32; 4]) -> [u32; 16] {
    let (c, k, i) = (words::<4>(b"expand 32-byte k"), words::<8>(key), input);
    [c[0], k[0], k[1], k[2], k[3], c[1], i[0], i[1], i[2], i[3], c[2], k[4], k[5], k[6], k[7], c[3]]
}

/// Twenty rounds, ten times columns and rows.
fn rounds(mut x: [u32; 16]) -> [u32; 16] {
    const QUARTERS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [5, 9, 13, 1],
        [10, 14, 2, 6],
        [15, 3, 7, 11],
        [0, 1, 2, 3],
        [5, 6, 7, 4],
        [10, 11, 8, 9],
        [15, 12, 13, 14],
    ];
    for _ in 0..10 {
        for [a, b, c, d] in QUARTERS {
            x[b] ^= x[a].wrapping_add(x[d]).rotate_left(7);
            x[c] ^= x[b].wrapping_add(x[a]).rotate_left(9);
            x[d] ^= x[c].wrapping_add(x[b]).rotate_left(13);
            x[a] ^= x[d].wrapping_add(x[c]).rotate_left(18);
        }
    }
    x
}

fn xsalsa20(key: &[u8; 32], nonce: &[u8; 24], length: usize) -> Vec<u8> {
    let x = rounds(matrix(key, words(&nonce[..16])));
    let inner = [0, 5, 10, 15, 6, 7, 8, 9].map(|i| x[i].to_le_bytes()).concat();
    let inner: [u8; 32] = inner.try_into().unwrap();
    let [low, high] = words(&nonce[16..]);
    let block = |counter: u64| {
        let before = matrix(&inner, [low, high, counter as u32, (counter >> 32) as u32]);
        let after = rounds(before);
        (0..16).flat_map(move |i| before[i].wrapping_add(after[i]).to_le_bytes())
    };
    (0..).flat_map(block).take(length).collect()
}

/// The polynomial modulo 2^130 - 5, in five limbs of 26 bits.
fn poly1305(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    const MASK: u64 = (1 << 26) - 1;
    let limbs = |bytes: &[u8; 17]| -> [u64; 5] {
        array::from_fn(|i| {
            (0..26)
                .map(|bit| (26 * i + bit, bit))
                .filter(|(at, _)| *at < 136)
                .fold(0, |limb, (at, bit)| limb | u64::from(bytes[at / 8] >> (at % 8) & 1) << bit)
        })
    };
    let carried = |mut t: [u64; 5]| {
        for _ in 0..2 {
            for i in 0..5 {
                let carry = t[i] >> 26;
                t[i] &= MASK;
                t[(i + 1) % 5] += if i == 4 { 5 * carry } else { carry };
            }
        }
        t
    };
    let mut r = [0; 17];
    r[..16].copy_from_slice(&key[..16]);
    for i in [3, 7, 11, 15] {
        r[i] &= 15;
    }
    for i in [4, 8, 12] {
        r[i] &= 252;
    }
    let r = limbs(&r);
    let mut sum = [0u64; 5];
    for chunk in message.chunks(16) {
        let mut block = [0; 17];
        block[..chunk.len()].copy_from_slice(chunk);
        block[chunk.len()] = 1;
        let block = limbs(&block);
        let added: [u64; 5] = array::from_fn(|i| sum[i] + block[i]);
        let mut product = [0u64; 5];
        for (i, a) in added.iter().enumerate() {
            for (j, b) in r.iter().enumerate() {
                // Bits above 2^130 are worth five times their value below it.
                product[(i + j) % 5] += a * b * if i + j < 5 { 1 } else { 5 };
            }
        }
        sum = carried(product);
    }
    // The final reduction: the value is not reduced if adding 5 reaches 2^130.
    let mut more = sum;
    more[0] += 5;
    for i in 0..4 {
        more[i + 1] += more[i] >> 26;
        more[i] &= MASK;
    }
    if more[4] >> 26 > 0 {
        more[4] &= MASK;
        sum = more;
    }
    let low = (0..5).fold(0u128, |number, i| number.wrapping_add(u128::from(sum[i]).wrapping_shl(26 * i as u32)));
    let pad = u128::from_le_bytes(key[16..].try_into().unwrap());
    low.wrapping_add(pad).to_le_bytes()
}

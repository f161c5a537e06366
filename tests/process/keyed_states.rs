//! The keyed states of HMAC, which are as secret as the key: the library keeps them in the client, and leaves no copy on the
//! stack of a thread that creates and frees a client.

use std::hint::black_box;

use crate::support::{Client, SECRET, config};
use serde_json::json;

/// How much of the stack is searched, below the function that searches it.
const SEARCHED_BYTES: usize = 64 * 1024;

type State = [u32; 8];

/// Returns the first 32 bits of the fraction of a root of each of the first primes. (FIPS 180-4, sections 4.2.2 and 5.3.3)
fn fractions<const N: usize>(root: fn(f64) -> f64) -> [u32; N] {
    let mut primes = (2_u32..).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
    std::array::from_fn(|_| (root(f64::from(primes.next().unwrap())).fract() * 2_f64.powi(32)) as u32)
}

/// Returns the state of SHA-256 after one block.
fn state_after(block: &[u8; 64]) -> State {
    let constants: [u32; 64] = fractions(f64::cbrt);
    let initial: State = fractions(f64::sqrt);
    let mut words = [0_u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().unwrap());
    }
    for at in 16..64 {
        let (old, new) = (words[at - 15], words[at - 2]);
        let low = old.rotate_right(7) ^ old.rotate_right(18) ^ old >> 3;
        let high = new.rotate_right(17) ^ new.rotate_right(19) ^ new >> 10;
        words[at] = words[at - 16].wrapping_add(low).wrapping_add(words[at - 7]).wrapping_add(high);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = initial;
    for (constant, word) in constants.iter().zip(words) {
        let high = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let one = h.wrapping_add(high).wrapping_add(e & f ^ !e & g).wrapping_add(*constant).wrapping_add(word);
        let low = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let two = low.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(one), c, b, a, one.wrapping_add(two));
    }
    let ended = [a, b, c, d, e, f, g, h];
    std::array::from_fn(|at| initial[at].wrapping_add(ended[at]))
}

/// Returns halves of the inner and the outer state of the test application's secret, as they are in memory in either order of
/// words: four words follow one another also in the registers of SHA instructions.
fn keyed_halves() -> Vec<Vec<u8>> {
    let states = [0x36, 0x5c].map(|pad| {
        let mut block = [pad; 64];
        block.iter_mut().zip(SECRET.bytes()).for_each(|(byte, key)| *byte ^= key);
        state_after(&block)
    });
    // Words a, b, c, d and e, f, g, h; in registers of SHA instructions f, e, b, a and h, g, d, c.
    let orders = [[0, 1, 2, 3], [4, 5, 6, 7], [5, 4, 1, 0], [7, 6, 3, 2]];
    states
        .iter()
        .flat_map(|state| orders.map(|order| order.iter().flat_map(|at| state[*at].to_ne_bytes()).collect()))
        .collect()
}

/// Returns how many of these halves are on the stack below this function.
#[inline(never)]
fn count_below(halves: &[Vec<u8>]) -> usize {
    let here = 0_u8;
    let end = (&raw const here).addr() & !15;
    // SAFETY: the thread's stack is larger, and nothing runs on it meanwhile.
    let stack = unsafe { std::slice::from_raw_parts((end - SEARCHED_BYTES) as *const u8, SEARCHED_BYTES - 1024) };
    halves.iter().filter(|half| stack.windows(half.len()).any(|window| window == half.as_slice())).count()
}

/// Leaves the halves on the stack, as a library would that does not wipe them.
#[inline(never)]
fn leave(halves: &[Vec<u8>]) {
    let mut room = [0_u8; 8192];
    for (place, half) in room.chunks_exact_mut(16).zip(halves) {
        place.copy_from_slice(half);
    }
    black_box(&room);
}

#[test]
fn no_keyed_state_stays_on_the_stack() {
    let halves = keyed_halves();
    let body = move || {
        let config = config(9, json!({}));
        let client = Client::new(&config);
        let after_new = count_below(&halves);
        drop(client);
        let after_free = count_below(&halves);
        leave(&halves);
        (after_new, after_free, count_below(&halves))
    };
    let counts = std::thread::Builder::new().stack_size(1 << 20).spawn(body).unwrap().join().unwrap();
    // The last one shows that the search finds what is there.
    assert!(counts.2 > 0 && (counts.0, counts.1) == (0, 0), "{counts:?}");
}

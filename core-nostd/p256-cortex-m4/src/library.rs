//! The C library's functions behind safe signatures: words little-endian, as it wants them.
#![allow(unsafe_code, reason = "the library is C and assembly")]

use p256_cortex_m4_sys as sys;

/// A 256-bit number, least significant word first.
pub(crate) type Words = [u32; 8];

/// A point in affine coordinates.
#[derive(Default)]
pub(crate) struct Point {
    pub(crate) x: Words,
    pub(crate) y: Words,
}

/// Whether a number is in 1..n.
pub(crate) fn is_scalar(number: &Words) -> bool {
    // SAFETY: it reads eight aligned words.
    unsafe { sys::P256_check_range_n(number.as_ptr()) }
}

/// The point of a scalar; `None` outside of 1..n.
pub(crate) fn base_multiple(scalar: &Words) -> Option<Point> {
    let mut point = Point::default();
    // SAFETY: it reads eight aligned words and writes eight to each coordinate; none overlap.
    let done =
        unsafe { sys::p256_keygen(point.x.as_mut_ptr(), point.y.as_mut_ptr(), scalar.as_ptr()) };
    done.then_some(point)
}

/// The x coordinate of `scalar · point`, big-endian; `None` where the point is off the curve.
///
/// The scalar must be in 1..n: the library does not look.
pub(crate) fn multiple_x(scalar: &Words, point: &Point) -> Option<[u8; 32]> {
    let mut x = [0; 32];
    // SAFETY: it reads eight aligned words from each of three places and writes 32 bytes to `x`,
    // which has no alignment to keep.
    let done = unsafe {
        sys::p256_ecdh_calc_shared_secret(
            x.as_mut_ptr(),
            scalar.as_ptr(),
            point.x.as_ptr(),
            point.y.as_ptr(),
        )
    };
    done.then_some(x)
}

/// r and s under a nonce; `None` where the nonce gives no signature and another must be tried.
pub(crate) fn sign(digest: &[u8; 32], secret: &Words, nonce: &Words) -> Option<(Words, Words)> {
    let (mut r, mut s) = (Words::default(), Words::default());
    // SAFETY: it reads 32 bytes of digest as told, eight aligned words of secret and nonce, and
    // writes eight words to each of `r` and `s`; none overlap.
    let done = unsafe {
        sys::p256_sign(
            r.as_mut_ptr(),
            s.as_mut_ptr(),
            digest.as_ptr(),
            32,
            secret.as_ptr(),
            nonce.as_ptr(),
        )
    };
    done.then_some((r, s))
}

/// Whether a signature verifies; false too for r or s outside of 1..n and a point off the curve.
pub(crate) fn verify(key: &Point, digest: &[u8; 32], r: &Words, s: &Words) -> bool {
    // SAFETY: it reads 32 bytes of digest as told and eight aligned words from the others.
    unsafe {
        sys::p256_verify(
            key.x.as_ptr(),
            key.y.as_ptr(),
            digest.as_ptr(),
            32,
            r.as_ptr(),
            s.as_ptr(),
        )
    }
}

/// A point out of its encoding (SEC 1 2.3.4); `None` off the curve.
///
/// The library also knows the hybrid forms 06 and 07: the caller looks at the first byte.
pub(crate) fn decode<const N: usize>(bytes: &[u8; N]) -> Option<Point> {
    let mut point = Point::default();
    // SAFETY: it reads at most the N bytes that it is told of, having looked at their number, and
    // writes eight aligned words to each coordinate.
    let done = unsafe {
        sys::p256_octet_string_to_point(
            point.x.as_mut_ptr(),
            point.y.as_mut_ptr(),
            bytes.as_ptr(),
            N as u32,
        )
    };
    done.then_some(point)
}

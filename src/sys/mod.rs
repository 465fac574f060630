//! The operating system and the libraries behind it.

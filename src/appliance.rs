//! Every stage named once.

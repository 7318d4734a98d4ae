-- What the agent signed is kept as long as the answer, so that whoever reads an answer can check it without believing this
-- database: the document compressed (zlib), and the signature over it. Null in commands that have no answer, and in those
-- that were answered before this version.

ALTER TABLE commands ADD COLUMN signed_answer bytea, ADD COLUMN signature bytea;
-- It is compressed already.
ALTER TABLE commands ALTER COLUMN signed_answer SET STORAGE EXTERNAL;

-- The role and the database of Naru, made by a superuser: psql -v ON_ERROR_STOP=1 -f role.sql, with the password in
-- NARU_DB_PASSWORD (psql 15 or newer). The role owns its tables and nothing else: row-level security, which is forced on
-- owners too, holds for it because it is no superuser and may not bypass it. Text sorts as bytes, so that no index
-- breaks when the system's locales change.
\getenv password NARU_DB_PASSWORD
CREATE ROLE naru LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE naru OWNER naru TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C';
REVOKE ALL ON DATABASE naru FROM PUBLIC;
\connect naru
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO naru;

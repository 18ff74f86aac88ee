PRAGMA application_id = 0x52497379;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES(1,0,1,'2026-11-22 07:06:40');
INSERT INTO goose_db_version VALUES(2,1,1,'2026-11-22 07:06:40');
CREATE TABLE compatible (
    oldest INTEGER NOT NULL
) STRICT;
INSERT INTO compatible VALUES(1);
CREATE TABLE meta (
    pipeline TEXT    NOT NULL PRIMARY KEY,
    lineage  TEXT    NOT NULL, -- random, made with the row: tells a copy or a fresh store from this one
    source   TEXT    NOT NULL, -- the directory's tenant
    target   TEXT    NOT NULL, -- the SCIM base URL
    rules    TEXT    NOT NULL DEFAULT '',
    texts    TEXT,             -- JSON: the rules themselves by their key
    quarantine TEXT,         -- JSON, null when there is none
    bound    INTEGER NOT NULL, -- times are milliseconds since 1970, UTC
    checked  INTEGER           -- last write of doctor
) STRICT;
INSERT INTO meta VALUES('default','UX6QCPLBAIRR4HZGCYKNEFUSYO','okta:recorded-okta.invalid','http://recorded-scim.invalid/scim','08fc029b2cdd610e','{"groups.push":"oncall-*","phone_region":"US","scope.exclude":"","scope.groups":"","scope.mode":"assigned","scope.where":"","source":"okta","source.okta":"app_id=0oaKu9Lu5G8gC046HvNI"}',NULL,1795331201262,NULL);
CREATE TABLE links (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL CHECK (kind IN ('user', 'group')),
    source   TEXT    NOT NULL CHECK (source <> ''),
    target   TEXT    NOT NULL CHECK (target <> ''),
    name     TEXT    NOT NULL, -- userName or displayName
    last     TEXT    NOT NULL, -- what was written last, as JSON; a group's members apart
    members  BLOB,             -- SCIM ids, each led by its length as a uvarint
    stuck    TEXT,             -- JSON
    gone     INTEGER,          -- since when the directory knows no such person, null while it does
    on_call  INTEGER,          -- since when the leaving is held because the person would be paged
    contested TEXT,            -- JSON: what another writer keeps turning back
    PRIMARY KEY (pipeline, kind, source)
) STRICT;
INSERT INTO links VALUES('default','user','00u1LvZAZkYQPo2IIVOB','634949b2-04a9-4299-95d1-939a6ab0e600','grace.patel@acme.example','{"userName":"grace.patel@acme.example","externalId":"00u1LvZAZkYQPo2IIVOB","givenName":"Grace","familyName":"Patel","displayName":"Grace Patel","email":"grace.patel@acme.example","phones":[{"Type":"mobile","Value":"+447700900134"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00u2dFiEdSar9PwVgZiL','608d7074-7a82-40d1-a242-a4ae5c3e544a','hana.celik@acme.example','{"userName":"hana.celik@acme.example","externalId":"00u2dFiEdSar9PwVgZiL","givenName":"Hana","familyName":"Çelik","displayName":"Hana Çelik","email":"hana.celik@acme.example","phones":[{"Type":"mobile","Value":"+447700900102"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00u39Ae8Ym67QAOJtGBF','4ee692d2-87c9-4592-8f2a-9fac42782244','taro.sato@acme.example','{"userName":"taro.sato@acme.example","externalId":"00u39Ae8Ym67QAOJtGBF","givenName":"太郎","familyName":"佐藤","displayName":"太郎 佐藤","email":"taro.sato@acme.example","phones":[{"Type":"mobile","Value":"+33639981049"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uAEw77BkcfWWGTQRDe','8632ba09-ff89-472b-859d-c12876ae37e0','chidi.okonkwo@acme.example','{"userName":"chidi.okonkwo@acme.example","externalId":"00uAEw77BkcfWWGTQRDe","givenName":"Chidi","familyName":"Okonkwo","displayName":"Chidi Okonkwo","email":"chidi.okonkwo@acme.example","phones":[{"Type":"mobile","Value":"+33639981008"}],"active":false}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uAeVlCtrdst88mw86m','f7a27cf0-a85d-45c6-a852-d9fc6146f0a1','wanjiru.ivanov@acme.example','{"userName":"wanjiru.ivanov@acme.example","externalId":"00uAeVlCtrdst88mw86m","givenName":"Wanjiru","familyName":"Иванов","displayName":"Wanjiru Иванов","email":"wanjiru.ivanov@acme.example","phones":[{"Type":"mobile","Value":"+14155550196"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uE5qZJWOKw1DPEbqrQ','11e71637-6bfc-436f-aea0-e59812bd2f71','wanjiru.ferreira@acme.example','{"userName":"wanjiru.ferreira@acme.example","externalId":"00uE5qZJWOKw1DPEbqrQ","givenName":"Wanjiru","familyName":"Ferreira","displayName":"Wanjiru Ferreira","email":"wanjiru.ferreira@acme.example","phones":[{"Type":"mobile","Value":"+33639981042"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uJlkkJpHiiQ1CysNmE','902010d4-cd27-4681-82bf-8dd07bfb0fca','jose.vandenberg@acme.example','{"userName":"jose.vandenberg@acme.example","externalId":"00uJlkkJpHiiQ1CysNmE","givenName":"José","familyName":"van den Berg","displayName":"José van den Berg","email":"jose.vandenberg@acme.example","phones":[{"Type":"mobile","Value":"+12125550186"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uXufw4x4g1AjCtKUCj','88821fd3-a8d1-43cc-b188-dd356ff774be','ines.brown@acme.example','{"userName":"ines.brown@acme.example","externalId":"00uXufw4x4g1AjCtKUCj","givenName":"Ines","familyName":"Brown","displayName":"Ines Brown","email":"ines.brown@acme.example","phones":[{"Type":"mobile","Value":"+61491570159"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00ubnME1oL7IutbwI4gY','0153fc9b-6678-4e56-a7d2-0209aad76fe4','dmitry.papadopoulos@acme.example','{"userName":"dmitry.papadopoulos@acme.example","externalId":"00ubnME1oL7IutbwI4gY","givenName":"Дмитрий","familyName":"Παπαδόπουλος","displayName":"Дмитрий Παπαδόπουλος","email":"dmitry.papadopoulos@acme.example","phones":[{"Type":"mobile","Value":"+447700900178"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uh7edqcXzaeqTFUiPK','9727f448-419b-411b-9003-f02e7467f9a0','zoe.ndiaye@acme.example','{"userName":"zoe.ndiaye@acme.example","externalId":"00uh7edqcXzaeqTFUiPK","givenName":"Zoë","familyName":"N''Diaye","displayName":"Zoë N''Diaye","email":"zoe.ndiaye@acme.example","phones":[{"Type":"mobile","Value":"+14155550160"}],"active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','user','00uhslUeStxt7vuQdGY6','9f590cb6-7f91-4801-9399-a098edd86b39','dorte.smith@acme.example','{"userName":"dorte.smith@acme.example","externalId":"00uhslUeStxt7vuQdGY6","givenName":"Dörte","familyName":"Smith","displayName":"Dörte Smith","email":"dorte.smith@acme.example","active":true}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','group','00gQsubq3STKOBrAZWQS','0112411d-cf3a-492c-84a5-403d79198936','oncall-platform','{"displayName":"oncall-platform","externalId":"00gQsubq3STKOBrAZWQS"}',X'2430313533666339622d363637382d346535362d613764322d3032303961616437366665342431316537313633372d366266632d343336662d616561302d6535393831326264326637312434656536393264322d383763392d343539322d386632612d3966616334323738323234342436333439343962322d303461392d343239392d393564312d3933396136616230653630302438383832316664332d613864312d343363632d623138382d6464333536666637373462652439303230313064342d636432372d343638312d383262662d3864643037626662306663612439373237663434382d343139622d343131622d393030332d6630326537343637663961302439663539306362362d376639312d343830312d393339392d613039386564643836623339',NULL,NULL,NULL,NULL);
INSERT INTO links VALUES('default','group','00goC6jjBZl7OmAsGjw5','8cd9bda4-326c-44ec-9b39-eb379a324d16','oncall-payments','{"displayName":"oncall-payments","externalId":"00goC6jjBZl7OmAsGjw5"}',X'2430313533666339622d363637382d346535362d613764322d3032303961616437366665342434656536393264322d383763392d343539322d386632612d3966616334323738323234342438383832316664332d613864312d343363632d623138382d6464333536666637373462652439303230313064342d636432372d343638312d383262662d3864643037626662306663612439373237663434382d343139622d343131622d393030332d6630326537343637663961302439663539306362362d376639312d343830312d393339392d613039386564643836623339',NULL,NULL,NULL,NULL);
CREATE TABLE cycles (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT    NOT NULL,
    started  INTEGER NOT NULL,
    finished INTEGER,
    rules    TEXT    NOT NULL DEFAULT '',
    planned  INTEGER NOT NULL DEFAULT 0,
    done     INTEGER NOT NULL DEFAULT 0,
    failed   INTEGER NOT NULL DEFAULT 0,
    held     INTEGER NOT NULL DEFAULT 0,
    skipped  INTEGER NOT NULL DEFAULT 0,
    error    TEXT    NOT NULL DEFAULT '',
    note     TEXT    NOT NULL DEFAULT '' -- what it was when it was no sync: "adopted by alice"
) STRICT;
INSERT INTO cycles VALUES(1,'default',1795331201434,1795331203372,'08fc029b2cdd610e',15,15,0,0,0,'','');
INSERT INTO cycles VALUES(2,'default',1795331208403,1795331208935,'08fc029b2cdd610e',1,1,0,0,0,'','');
CREATE TABLE changes (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline TEXT    NOT NULL,
    cycle    INTEGER NOT NULL REFERENCES cycles (id),
    verb     TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    target   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    why      TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    fields   TEXT,             -- JSON: what each attribute was and became
    members  TEXT,             -- JSON: who joined or left the group, and why
    groups   TEXT,             -- JSON: the groups that a deactivated person was in
    spends   TEXT,             -- JSON: what it costs of the rolling day's allowance, by axis
    wanted   TEXT,             -- JSON: the values it leads to, kept while the change is open
    intended INTEGER NOT NULL,
    settled  INTEGER,
    took     INTEGER NOT NULL DEFAULT 0, -- microseconds
    outcome  TEXT,             -- null or 'unknown': open
    error    TEXT    NOT NULL DEFAULT ''
) STRICT;
INSERT INTO changes VALUES(1,'default',1,'create','user','00u1LvZAZkYQPo2IIVOB','634949b2-04a9-4299-95d1-939a6ab0e600','grace.patel@acme.example','joined','','[{"name":"userName","from":"","to":"grace.patel@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00u1LvZAZkYQPo2IIVOB","why":"joined"},{"name":"name.givenName","from":"","to":"Grace","why":"joined"},{"name":"name.familyName","from":"","to":"Patel","why":"joined"},{"name":"displayName","from":"","to":"Grace Patel","why":"joined"},{"name":"emails","from":"","to":"grace.patel@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+447700900134","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331201451,1795331201496,15075,'done','');
INSERT INTO changes VALUES(2,'default',1,'create','user','00u2dFiEdSar9PwVgZiL','608d7074-7a82-40d1-a242-a4ae5c3e544a','hana.celik@acme.example','joined','','[{"name":"userName","from":"","to":"hana.celik@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00u2dFiEdSar9PwVgZiL","why":"joined"},{"name":"name.givenName","from":"","to":"Hana","why":"joined"},{"name":"name.familyName","from":"","to":"Çelik","why":"joined"},{"name":"displayName","from":"","to":"Hana Çelik","why":"joined"},{"name":"emails","from":"","to":"hana.celik@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+447700900102","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331201515,1795331201542,19228,'done','');
INSERT INTO changes VALUES(3,'default',1,'create','user','00u39Ae8Ym67QAOJtGBF','4ee692d2-87c9-4592-8f2a-9fac42782244','taro.sato@acme.example','joined','','[{"name":"userName","from":"","to":"taro.sato@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00u39Ae8Ym67QAOJtGBF","why":"joined"},{"name":"name.givenName","from":"","to":"太郎","why":"joined"},{"name":"name.familyName","from":"","to":"佐藤","why":"joined"},{"name":"displayName","from":"","to":"太郎 佐藤","why":"joined"},{"name":"emails","from":"","to":"taro.sato@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+33639981049","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331201832,1795331202281,119777,'done','');
INSERT INTO changes VALUES(4,'default',1,'create','user','00uAEw77BkcfWWGTQRDe','8632ba09-ff89-472b-859d-c12876ae37e0','chidi.okonkwo@acme.example','joined','','[{"name":"userName","from":"","to":"chidi.okonkwo@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uAEw77BkcfWWGTQRDe","why":"joined"},{"name":"name.givenName","from":"","to":"Chidi","why":"joined"},{"name":"name.familyName","from":"","to":"Okonkwo","why":"joined"},{"name":"displayName","from":"","to":"Chidi Okonkwo","why":"joined"},{"name":"emails","from":"","to":"chidi.okonkwo@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+33639981008","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331202305,1795331202391,3317,'done','');
INSERT INTO changes VALUES(5,'default',1,'create','user','00uAeVlCtrdst88mw86m','f7a27cf0-a85d-45c6-a852-d9fc6146f0a1','wanjiru.ivanov@acme.example','joined','','[{"name":"userName","from":"","to":"wanjiru.ivanov@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uAeVlCtrdst88mw86m","why":"joined"},{"name":"name.givenName","from":"","to":"Wanjiru","why":"joined"},{"name":"name.familyName","from":"","to":"Иванов","why":"joined"},{"name":"displayName","from":"","to":"Wanjiru Иванов","why":"joined"},{"name":"emails","from":"","to":"wanjiru.ivanov@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+14155550196","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331202877,1795331202905,1935,'done','');
INSERT INTO changes VALUES(6,'default',1,'create','user','00uE5qZJWOKw1DPEbqrQ','11e71637-6bfc-436f-aea0-e59812bd2f71','wanjiru.ferreira@acme.example','joined','','[{"name":"userName","from":"","to":"wanjiru.ferreira@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uE5qZJWOKw1DPEbqrQ","why":"joined"},{"name":"name.givenName","from":"","to":"Wanjiru","why":"joined"},{"name":"name.familyName","from":"","to":"Ferreira","why":"joined"},{"name":"displayName","from":"","to":"Wanjiru Ferreira","why":"joined"},{"name":"emails","from":"","to":"wanjiru.ferreira@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+33639981042","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331202909,1795331202970,1019,'done','');
INSERT INTO changes VALUES(7,'default',1,'create','user','00uJlkkJpHiiQ1CysNmE','902010d4-cd27-4681-82bf-8dd07bfb0fca','jose.vandenberg@acme.example','joined','','[{"name":"userName","from":"","to":"jose.vandenberg@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uJlkkJpHiiQ1CysNmE","why":"joined"},{"name":"name.givenName","from":"","to":"José","why":"joined"},{"name":"name.familyName","from":"","to":"van den Berg","why":"joined"},{"name":"displayName","from":"","to":"José van den Berg","why":"joined"},{"name":"emails","from":"","to":"jose.vandenberg@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+12125550186","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203142,1795331203153,873,'done','');
INSERT INTO changes VALUES(8,'default',1,'create','user','00uXufw4x4g1AjCtKUCj','88821fd3-a8d1-43cc-b188-dd356ff774be','ines.brown@acme.example','joined','','[{"name":"userName","from":"","to":"ines.brown@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uXufw4x4g1AjCtKUCj","why":"joined"},{"name":"name.givenName","from":"","to":"Ines","why":"joined"},{"name":"name.familyName","from":"","to":"Brown","why":"joined"},{"name":"displayName","from":"","to":"Ines Brown","why":"joined"},{"name":"emails","from":"","to":"ines.brown@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+61491570159","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203168,1795331203176,4183,'done','');
INSERT INTO changes VALUES(9,'default',1,'create','user','00ubnME1oL7IutbwI4gY','0153fc9b-6678-4e56-a7d2-0209aad76fe4','dmitry.papadopoulos@acme.example','joined','','[{"name":"userName","from":"","to":"dmitry.papadopoulos@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00ubnME1oL7IutbwI4gY","why":"joined"},{"name":"name.givenName","from":"","to":"Дмитрий","why":"joined"},{"name":"name.familyName","from":"","to":"Παπαδόπουλος","why":"joined"},{"name":"displayName","from":"","to":"Дмитрий Παπαδόπουλος","why":"joined"},{"name":"emails","from":"","to":"dmitry.papadopoulos@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+447700900178","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203178,1795331203195,975,'done','');
INSERT INTO changes VALUES(10,'default',1,'create','user','00uh7edqcXzaeqTFUiPK','9727f448-419b-411b-9003-f02e7467f9a0','zoe.ndiaye@acme.example','joined','','[{"name":"userName","from":"","to":"zoe.ndiaye@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uh7edqcXzaeqTFUiPK","why":"joined"},{"name":"name.givenName","from":"","to":"Zoë","why":"joined"},{"name":"name.familyName","from":"","to":"N''Diaye","why":"joined"},{"name":"displayName","from":"","to":"Zoë N''Diaye","why":"joined"},{"name":"emails","from":"","to":"zoe.ndiaye@acme.example","why":"joined"},{"name":"phoneNumbers.mobile","from":"","to":"+14155550160","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203197,1795331203203,532,'done','');
INSERT INTO changes VALUES(11,'default',1,'create','user','00uhslUeStxt7vuQdGY6','9f590cb6-7f91-4801-9399-a098edd86b39','dorte.smith@acme.example','joined','','[{"name":"userName","from":"","to":"dorte.smith@acme.example","why":"joined"},{"name":"externalId","from":"","to":"00uhslUeStxt7vuQdGY6","why":"joined"},{"name":"name.givenName","from":"","to":"Dörte","why":"joined"},{"name":"name.familyName","from":"","to":"Smith","why":"joined"},{"name":"displayName","from":"","to":"Dörte Smith","why":"joined"},{"name":"emails","from":"","to":"dorte.smith@acme.example","why":"joined"},{"name":"active","from":"false","to":"true","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203212,1795331203246,2537,'done','');
INSERT INTO changes VALUES(12,'default',1,'create','group','00gQsubq3STKOBrAZWQS','0112411d-cf3a-492c-84a5-403d79198936','oncall-platform','joined','','[{"name":"displayName","from":"","to":"oncall-platform","why":"joined"},{"name":"externalId","from":"","to":"00gQsubq3STKOBrAZWQS","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203271,1795331203282,672,'done','');
INSERT INTO changes VALUES(13,'default',1,'add','group','00gQsubq3STKOBrAZWQS','0112411d-cf3a-492c-84a5-403d79198936','oncall-platform','joined','',NULL,'[{"user":{"kind":"user","source":"00ubnME1oL7IutbwI4gY","name":"dmitry.papadopoulos@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uhslUeStxt7vuQdGY6","name":"dorte.smith@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00u1LvZAZkYQPo2IIVOB","name":"grace.patel@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uXufw4x4g1AjCtKUCj","name":"ines.brown@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uJlkkJpHiiQ1CysNmE","name":"jose.vandenberg@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00u39Ae8Ym67QAOJtGBF","name":"taro.sato@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uE5qZJWOKw1DPEbqrQ","name":"wanjiru.ferreira@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uh7edqcXzaeqTFUiPK","name":"zoe.ndiaye@acme.example"},"why":"joined"}]',NULL,NULL,NULL,1795331203277,1795331203282,672,'done','');
INSERT INTO changes VALUES(14,'default',1,'create','group','00goC6jjBZl7OmAsGjw5','8cd9bda4-326c-44ec-9b39-eb379a324d16','oncall-payments','joined','','[{"name":"displayName","from":"","to":"oncall-payments","why":"joined"},{"name":"externalId","from":"","to":"00goC6jjBZl7OmAsGjw5","why":"joined"}]',NULL,NULL,NULL,NULL,1795331203283,1795331203351,12521,'done','');
INSERT INTO changes VALUES(15,'default',1,'add','group','00goC6jjBZl7OmAsGjw5','8cd9bda4-326c-44ec-9b39-eb379a324d16','oncall-payments','joined','',NULL,'[{"user":{"kind":"user","source":"00ubnME1oL7IutbwI4gY","name":"dmitry.papadopoulos@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uhslUeStxt7vuQdGY6","name":"dorte.smith@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uXufw4x4g1AjCtKUCj","name":"ines.brown@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uJlkkJpHiiQ1CysNmE","name":"jose.vandenberg@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00u39Ae8Ym67QAOJtGBF","name":"taro.sato@acme.example"},"why":"joined"},{"user":{"kind":"user","source":"00uh7edqcXzaeqTFUiPK","name":"zoe.ndiaye@acme.example"},"why":"joined"}]',NULL,NULL,NULL,1795331203285,1795331203360,12521,'done','');
INSERT INTO changes VALUES(16,'default',2,'deactivate','user','00uAEw77BkcfWWGTQRDe','8632ba09-ff89-472b-859d-c12876ae37e0','chidi.okonkwo@acme.example','disabled','SUSPENDED','[{"name":"active","from":"true","to":"false","why":"disabled"}]',NULL,NULL,'{"deactivations":1}',NULL,1795331208547,1795331208618,26590,'done','');
CREATE TABLE change_people (
    pipeline TEXT    NOT NULL,
    person   TEXT    NOT NULL, -- the directory's id, or the SCIM id of somebody without one
    change   INTEGER NOT NULL REFERENCES changes (id) ON DELETE CASCADE,
    PRIMARY KEY (pipeline, person, change)
) STRICT, WITHOUT ROWID;
INSERT INTO change_people VALUES('default','00u1LvZAZkYQPo2IIVOB',13);
INSERT INTO change_people VALUES('default','00u39Ae8Ym67QAOJtGBF',13);
INSERT INTO change_people VALUES('default','00uE5qZJWOKw1DPEbqrQ',13);
INSERT INTO change_people VALUES('default','00uJlkkJpHiiQ1CysNmE',13);
INSERT INTO change_people VALUES('default','00uXufw4x4g1AjCtKUCj',13);
INSERT INTO change_people VALUES('default','00ubnME1oL7IutbwI4gY',13);
INSERT INTO change_people VALUES('default','00uh7edqcXzaeqTFUiPK',13);
INSERT INTO change_people VALUES('default','00uhslUeStxt7vuQdGY6',13);
INSERT INTO change_people VALUES('default','00u39Ae8Ym67QAOJtGBF',15);
INSERT INTO change_people VALUES('default','00uJlkkJpHiiQ1CysNmE',15);
INSERT INTO change_people VALUES('default','00uXufw4x4g1AjCtKUCj',15);
INSERT INTO change_people VALUES('default','00ubnME1oL7IutbwI4gY',15);
INSERT INTO change_people VALUES('default','00uh7edqcXzaeqTFUiPK',15);
INSERT INTO change_people VALUES('default','00uhslUeStxt7vuQdGY6',15);
CREATE TABLE escrow (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    verb     TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (pipeline, kind, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE held_sets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline    TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL CHECK (fingerprint <> ''),
    axis        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    items       TEXT,             -- JSON
    cycle       INTEGER NOT NULL, -- that recorded it
    created     INTEGER NOT NULL,
    approved    INTEGER,
    approver    TEXT    NOT NULL DEFAULT '',
    used        INTEGER,
    used_in     INTEGER NOT NULL DEFAULT 0 -- the cycle that carried it out
) STRICT;
CREATE TABLE pins (
    pipeline TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    source   TEXT    NOT NULL CHECK (source <> ''),
    target   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    cycle    INTEGER NOT NULL,
    pinned   INTEGER NOT NULL,
    PRIMARY KEY (pipeline, kind, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    pipeline TEXT    NOT NULL PRIMARY KEY,
    cycle    INTEGER NOT NULL,
    taken    INTEGER NOT NULL,
    data     BLOB    NOT NULL
) STRICT;
INSERT INTO snapshots VALUES('default',2,1795331208919,X'011f8b08000000000004ff94564b6c234919aebfe3471e9e8459969d8887d45c58d068aceef87d1bc776324eb2b18df3d8643442e5ee8ad3717755a7bb6cc77b216477595886650f4870e4b017d80bbb4268986118a1202171483c3724ae20c1993b8dca6e4fec9978b273727dff5f7fd5f7d55feefaa2df9f0088b814dbee3ee37708d6c13b46204170d3258e0b0104a16587356d170208a1b0770c6f400079fff57e300110d8748903de0982eb2015f310413029ead6b14520822058b0b0618ad1d4b2d12274109f5ec29661760670266fb8b6899fe1c975436b507f8de93cb1b1c32d42b95828b86170b3b77838c72c1bd38e88ce162cdb641d42d69b568d3822141984363a766f7ea8bccf2871c1fb2182509563de747bf3fac33ce13ed5c9aceb1a754a74901004b39c3b2e783f42087dd37b5f0278edee3d8d514a34ce1c37da5bb3b7a4f71e42dff2de9d0008fac1f7c4390606db07b7b0d91444c4421f0400ae5bd8beeb72c7a0f57bfd1fb10d44208290f7c83b81d715a5a9aeb576b3bb8d9d4a992d148b5ba54598af3b5823511b7362dec69a45a2e4085bb649607c26b82c6a2058164530d343720f4833055a3728218206cc5639dedb93072129a428aaa2aa1240c86235c3243077331e9753294591338aa2c6e2084258e3468b40289bdb286e150090f7d027bfa02f1905bd8a9d4cb9bd55df35d6e0c63ea638aa11d3688c721f9b08dcc11443e8f40351033302c97d2085cb0ed39b1a87397f206729363b2eeff3565263792b0b17bca7d74ab9d542fe7ba5cd0d00e4fdd5e71ecb64497ac74aa62ad9d20a5f5e5c8237387658d4c59c8d521f170ffdeb93dffce7dd8f20f4cfc71ffffb179fc0b53e96fb70f4e0e7ab841acc91ab6c8fb7b1439e6b81121f9272fd662c2627e55846cea4655591e3990b31434df88b2f245b68a7528b0d6d6f7b7b79a3f2dd3c81af6afb866e445983d146fb39312fcb0573a20ec2a57e215ceb61d98752b8dab46de67088f803798d60ddef85f212014a1ac1a46eb8b866121da6aa9bd572613d5fc88b76fc6da0826c9939eee82e4fa7ad763a69c1d7da981e184e336ab43065add19ebc3419deee5742a4fbcbeee7dddf761f77ffd4fd1c5ef7c3f270540a2f1914538dc07456d35893724c07f72b36a469f6db7135f11d399148dc52d44cf2d28efcc3d752481ceeae6c9756db6abe5ca81d3a15f8c640cb1e711c62387854cd15e9677a2697fc72f8d240cb20f26ad72d31a4ec85eb36f4df19ba6e7ff7c5ad988dc68a7dc7302a6aaee3ae5b05f8fa017349b485a94e688d38f5db58b348941c61cb36c915d9e00a734f7f0d9116a6b24ea8bc489c3abcd60bcac3b15793971e92175950176ef5db96bebc6d7ff695bddddc6bc78fe275357b90e3ab9bb903b86150e2466b0e6bd3d1868d4d048ae2050a2e8a12981640ee8d5f8dffc210ffb99b49558e6754399152643571e9b7e07f30e16ba8d1b70a2a5b4b159bbcd62ec6eb3b20eb96c19d4ed4c636d699cd9a26736f8f74e8ea19b3dd9f77ffd87df0f4e4e971f741f70f307ff6abb3cfce8fcf3e3bfbddf9fdf3e3b327e7ef9f3d3a7b727e026f8ece94c74d1c3d8fd9cb9e252539720ac3cf522a7de9ffefa17f08fb29a21f6a6fbf83c9e1c6d2a6515e851bef3012a5ba813be4b9468e4b0476d9e9a7105e7f332f8a2022a0eca32f427ef84d1df97624954bb97f3ae0ee9a9ba4ca8f78aad5ace8cb3b4998d799c349d4b50cbe3f4a7e7c26943ffdbdc30904aba20a227d28f7d028fb2b1e26559978f1fdcf7b3f9e00b83630953dfb08de8708268411614d1bbcfb08a6aadcc1b42e4ca6f71182a9bce172f1a175c1fb182194f77e22ac945f7c1f4170e0300303db78e12e83558dd944f8b5f05bc4aaf96b0aa3f55309e0cb238e4df8d362beb76704a1af783f9300c277ef1994c716c4d6c2e726bd0f41d8af7ac56dd60e63d58dd5d2a293ddddae54618e510d9be62ddbc47c8f39169226512024499224a1b8e797b15cf2e06071d74c95acacbb7cd04e5c94e18e45287791140a4c4a9224a1ff070000ffff10a0d39c820b0000');
CREATE TABLE memories (
    pipeline TEXT NOT NULL,
    key      TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (pipeline, key)
) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('goose_db_version',2);
INSERT INTO sqlite_sequence VALUES('cycles',2);
INSERT INTO sqlite_sequence VALUES('changes',16);
CREATE UNIQUE INDEX links_target ON links (pipeline, kind, target);
CREATE INDEX links_name ON links (pipeline, lower(name));
CREATE INDEX cycles_started ON cycles (pipeline, started);
CREATE INDEX changes_open   ON changes (pipeline, id) WHERE outcome IS NULL OR outcome = 'unknown';
CREATE INDEX changes_newest ON changes (pipeline, id);
CREATE INDEX changes_cycle  ON changes (cycle);
CREATE INDEX changes_spends ON changes (pipeline, settled) WHERE spends IS NOT NULL;
CREATE INDEX changes_time   ON changes (pipeline, intended);
CREATE INDEX changes_source ON changes (pipeline, source);
CREATE INDEX changes_name   ON changes (pipeline, lower(name));
CREATE INDEX change_people_change ON change_people (change);
CREATE UNIQUE INDEX held_sets_unused ON held_sets (pipeline, fingerprint) WHERE used IS NULL;
CREATE INDEX held_sets_used ON held_sets (pipeline, used) WHERE used IS NOT NULL;
COMMIT;

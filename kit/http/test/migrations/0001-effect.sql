create table effect (what text not null);

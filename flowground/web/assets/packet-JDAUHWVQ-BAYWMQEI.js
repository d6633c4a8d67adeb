import{a as e,b as r}from"./chunk-6MHJFQFH.js";import"./chunk-FPTW5BR6.js";import"./chunk-SQE76S5B.js";export{e as PacketModule,r as createPacketServices};

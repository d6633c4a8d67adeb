import{a,b,c,d,e}from"./chunk-MQVBZZN5.js";import"./chunk-OOJM4CTU.js";export{d as Growing,c as WORDS,b as adopt,a as copyText,e as render};
